"""Random access to the frames of many episodes, for training V."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.emulation.landmarks import enemy_places, landmarks_of
from mario_world_model.rollouts.episode import Episode
from mario_world_model.utils.devices import CPU, home_for, moved


@dataclass(frozen=True)
class FrameBatch:
    """B frames and where things are in them."""

    frames: Tensor
    """uint8 (B, 64, 64, 3)."""
    landmarks: Tensor
    """float32 (B, G); `emulation.landmarks` names the columns."""
    enemies: Tensor
    """float32 (B, slots, 2), where enemies are (`emulation.landmarks.enemy_places`)."""

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, device: torch.device) -> FrameBatch:
        return FrameBatch(*(moved(tensor, device) for tensor in (self.frames, self.landmarks, self.enemies)))

    def part(self, rows: slice) -> FrameBatch:
        """Some of the frames."""
        return FrameBatch(self.frames[rows], self.landmarks[rows], self.enemies[rows])

    def split(self, size: int) -> Iterator[FrameBatch]:
        """The same in parts of at most `size` frames."""
        whole = (self.frames, self.landmarks, self.enemies)
        for parts in zip(*(tensor.split(size) for tensor in whole), strict=True):
            yield FrameBatch(*parts)


class FramePool:
    """All frames of some episodes as one numbered pool.

    For a CPU, kept in memory are the numbers, and where things are; frames are read when they are asked for. For a GPU
    that has room for them, all frames are read once, and batches are taken where they are trained on.
    """

    def __init__(self, episodes: Sequence[Episode], device: torch.device = CPU) -> None:
        """`device` is the one that batches are meant for."""
        self._episodes = episodes
        self._ends = np.cumsum([len(episode) + 1 for episode in episodes])
        truth = np.concatenate([episode.truth for episode in episodes])
        size = len(self) * int(np.prod(episodes[0].frames.shape[1:]))
        self._home = home_for(size, device)
        self._landmarks = torch.from_numpy(landmarks_of(truth)).to(self._home)
        self._enemies = torch.from_numpy(enemy_places(truth)).to(self._home)
        self._frames = None if self._home == CPU else _read(episodes, self._home)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, numbers: Tensor) -> FrameBatch:
        """The frames of some numbers, int64 (B,), in their order."""
        numbers = numbers.to(self._home)
        places = self._landmarks.index_select(0, numbers), self._enemies.index_select(0, numbers)
        if self._frames is None:
            return FrameBatch(torch.from_numpy(self._look_up(numbers.numpy())), *places)
        return FrameBatch(self._frames.index_select(0, numbers), *places)

    def _look_up(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        frames = np.empty((len(numbers), *self._episodes[0].frames.shape[1:]), dtype=np.uint8)
        places = np.searchsorted(self._ends, numbers, side="right")
        for row, (number, which) in enumerate(zip(numbers.tolist(), places.tolist(), strict=True)):
            frame = int(number - self._ends[which] + len(self._episodes[which]) + 1)
            frames[row] = self._episodes[which].frames[frame : frame + 1][0]
        return frames

    def batches(self, batch_size: int, rng: np.random.Generator, skip: int = 0) -> Iterator[FrameBatch]:
        """Every frame once in random order, but for the first `skip` batches.

        A last smaller batch is left out unless it is the only one.
        """
        order = torch.from_numpy(rng.permutation(len(self))).to(self._home)
        last = max(1, len(self) - batch_size + 1)
        for first in range(skip * batch_size, last, batch_size):
            yield self.take(order[first : first + batch_size])

    def spread(self, count: int) -> FrameBatch:
        """`count` frames evenly spaced over the pool."""
        return self.take(torch.from_numpy(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64)))


def _read(episodes: Sequence[Episode], home: torch.device) -> Tensor:
    """All frames of all episodes on a device, uint8 (N, 64, 64, 3), an episode at a time."""
    count = sum(len(episode) + 1 for episode in episodes)
    frames = torch.empty((count, *episodes[0].frames.shape[1:]), dtype=torch.uint8, device=home)
    first = 0
    for episode in episodes:
        # Frames of a pickled data set may be read-only, which torch does not know.
        read = torch.from_numpy(np.require(episode.frames[:], requirements=["C", "W"]))
        frames[first : first + len(read)] = read
        first += len(read)
    return frames

"""Random access to the frames of many episodes, for training V."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mario_world_model.emulation.landmarks import enemy_places, landmarks_of
from mario_world_model.rollouts.episode import Episode


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
        return FrameBatch(self.frames.to(device), self.landmarks.to(device), self.enemies.to(device))

    def part(self, rows: slice) -> FrameBatch:
        """Some of the frames."""
        return FrameBatch(self.frames[rows], self.landmarks[rows], self.enemies[rows])

    def split(self, size: int) -> Iterator[FrameBatch]:
        """The same in parts of at most `size` frames."""
        whole = (self.frames, self.landmarks, self.enemies)
        for parts in zip(*(tensor.split(size) for tensor in whole), strict=True):
            yield FrameBatch(*parts)


class FramePool:
    """All frames of some episodes as one numbered pool; kept in memory are the numbers, and where things are."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = episodes
        self._ends = np.cumsum([len(episode) + 1 for episode in episodes])
        truth = np.concatenate([episode.truth for episode in episodes])
        self._landmarks = landmarks_of(truth)
        self._enemies = enemy_places(truth)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, numbers: Sequence[int]) -> FrameBatch:
        """The frames of some numbers, in their order."""
        frames = np.empty((len(numbers), *self._episodes[0].frames.shape[1:]), dtype=np.uint8)
        for row, number in enumerate(numbers):
            which = int(np.searchsorted(self._ends, number, side="right"))
            frame = int(number - self._ends[which] + len(self._episodes[which]) + 1)
            frames[row] = self._episodes[which].frames[frame : frame + 1][0]
        return FrameBatch(*map(torch.from_numpy, (frames, self._landmarks[numbers], self._enemies[numbers])))

    def batches(self, batch_size: int, rng: np.random.Generator, skip: int = 0) -> Iterator[FrameBatch]:
        """Every frame once in random order, but for the first `skip` batches.

        A last smaller batch is left out unless it is the only one.
        """
        order = rng.permutation(len(self))
        last = max(1, len(self) - batch_size + 1)
        for first in range(skip * batch_size, last, batch_size):
            yield self.take(order[first : first + batch_size].tolist())

    def spread(self, count: int) -> FrameBatch:
        """`count` frames evenly spaced over the pool."""
        return self.take(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int).tolist())

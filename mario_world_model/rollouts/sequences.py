"""Training sequences for the MDN-RNN: windows of latent episodes, padded and masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.models.mdn_rnn import DEATH
from mario_world_model.models.vae import Posterior
from mario_world_model.models.world_model import Starts
from mario_world_model.rollouts.latents import LatentEpisode
from mario_world_model.utils.devices import CPU, home_for, moved

Windows = NDArray[np.int64]
"""Windows of episodes, (W, 3): the episode's number, the first step, how many steps."""


@dataclass(frozen=True)
class SequenceBatch:
    """B windows of at most L steps; where `mask` is 0 everything is padding."""

    posterior: Posterior
    """Of frames, (B, L + 1, Z)."""
    actions: Tensor
    """int64 (B, L)."""
    rewards: Tensor
    """(B, L)."""
    endings: Tensor
    """(B, L, 2)."""
    mask: Tensor
    """(B, L), 1 for a real step."""

    def to(self, device: torch.device) -> SequenceBatch:
        return SequenceBatch(
            Posterior(moved(self.posterior.mean, device), moved(self.posterior.log_variance, device)),
            moved(self.actions, device),
            moved(self.rewards, device),
            moved(self.endings, device),
            moved(self.mask, device),
        )

    def part(self, rows: slice) -> SequenceBatch:
        """Some of the windows."""
        return SequenceBatch(
            Posterior(self.posterior.mean[rows], self.posterior.log_variance[rows]),
            self.actions[rows],
            self.rewards[rows],
            self.endings[rows],
            self.mask[rows],
        )


class SequencePool:
    """The steps of some episodes end to end, out of which a batch of windows is cut with one index.

    They lie on a GPU where it has room for them, else in memory, and take the place of what they were made of.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], device: torch.device = CPU) -> None:
        """`device` is the one that batches are meant for."""
        self._device = device
        # A row for every frame, the last of an episode without a step, and behind all of them zeros: the padding.
        ends = np.cumsum([len(episode) + 1 for episode in episodes])
        self._padding = int(ends[-1])
        self._firsts = ends - [len(episode) + 1 for episode in episodes]
        whole = [[getattr(one.posterior, name) for one in episodes] for name in ("mean", "log_variance")]
        whole += [[getattr(one, name) for one in episodes] for name in ("actions", "rewards", "endings")]
        flat = [self._end_to_end(tensors) for tensors in whole]
        self.episodes = [self._episode(number, one.from_level, len(one), flat) for number, one in enumerate(episodes)]
        """The same episodes in memory, as views of the pool where it is there too."""
        home = home_for(sum(tensor.nbytes for tensor in flat), device)
        self._frames, self._steps = [one.to(home) for one in flat[:2]], [one.to(home) for one in flat[2:]]

    def batches(self, length: int, batch_size: int, rng: np.random.Generator, skip: int = 0) -> Iterator[SequenceBatch]:
        """One epoch of batches, the last one possibly smaller, but for the first `skip` of them."""
        windows = self._placed(windows_of_epoch(self.episodes, length, rng))
        for first in range(skip * batch_size, windows.shape[1], batch_size):
            yield self._cut(windows[:, first : first + batch_size], length)

    def in_order(self, length: int) -> SequenceBatch:
        """Every step once, in windows that do not overlap."""
        cuts = [(number, first) for number, one in enumerate(self.episodes) for first in range(0, len(one), length)]
        windows = [(number, first, min(length, len(self.episodes[number]) - first)) for number, first in cuts]
        return self.cut(np.array(windows, dtype=np.int64), length)

    def cut(self, windows: Windows, length: int) -> SequenceBatch:
        """Cut windows out of the episodes and pad them to `length` steps."""
        return self._cut(self._placed(windows), length)

    def _placed(self, windows: Windows) -> Tensor:
        """First rows and steps of windows, int64 (2, W), beside the pool."""
        numbers, first, steps = windows.T
        return moved(torch.from_numpy(np.stack([self._firsts[numbers] + first, steps])), self._frames[0].device)

    def _cut(self, windows: Tensor, length: int) -> SequenceBatch:
        first, steps = windows.unsqueeze(-1)
        column = torch.arange(length + 1, device=windows.device)
        rows = first + column
        there = column[:-1] < steps
        frames = torch.where(column <= steps, rows, self._padding)
        taken = torch.where(there, rows[:, :-1], self._padding)
        mean, log_variance = (_rows(whole, frames) for whole in self._frames)
        actions, rewards, endings = (_rows(whole, taken) for whole in self._steps)
        batch = SequenceBatch(Posterior(mean, log_variance), actions, rewards, endings, there.to(rewards.dtype))
        return batch if windows.device.type == self._device.type else batch.to(self._device)

    def _end_to_end(self, tensors: Sequence[Tensor]) -> Tensor:
        flat = tensors[0].new_zeros(self._padding + 1, *tensors[0].shape[1:])
        for first, tensor in zip(self._firsts.tolist(), tensors, strict=True):
            flat[first : first + len(tensor)] = tensor
        return flat

    def _episode(self, number: int, from_level: bool, length: int, flat: Sequence[Tensor]) -> LatentEpisode:
        first = int(self._firsts[number])
        mean, log_variance = (whole[first : first + length + 1] for whole in flat[:2])
        actions, rewards, endings = (whole[first : first + length] for whole in flat[2:])
        return LatentEpisode(Posterior(mean, log_variance), actions, rewards, endings, from_level)


def _rows(whole: Tensor, rows: Tensor) -> Tensor:
    """Rows int64 (B, L) of a tensor, (B, L, …)."""
    taken: Tensor = whole.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    return taken


def windows_of_epoch(episodes: Sequence[LatentEpisode], length: int, rng: np.random.Generator) -> Windows:
    """Windows that together hold every step once, shuffled.

    An episode is cut at every `length` steps from a random offset on, so that its end, and with it a
    death, falls on any step of a window alike: a memory that can count would else learn when windows end.
    """
    parts = []
    for number, episode in enumerate(episodes):
        first_cut = int(rng.integers(1, length + 1))
        cuts = np.array([0, *range(first_cut, len(episode), length), len(episode)])
        parts.append(np.stack([np.full(len(cuts) - 1, number), cuts[:-1], np.diff(cuts)], axis=1))
    windows = np.concatenate(parts)
    return windows[rng.permutation(len(windows))]


_FIRST_FRAMES = 1 / 8
_BEFORE_DEATHS = 1 / 2
_REACH = 24  # steps before a death within which a controller can still do something about it


def draw_starts(
    episodes: Sequence[LatentEpisode], count: int, warmup: int, rng: np.random.Generator, newest: int = 0
) -> Starts:
    """Situations for dreams to begin from, with the steps that led there.

    At most an eighth are starts of the level, since these are nearly alike; half are frames from
    which Mario died within 24 steps, since what kills him is then in sight and a dream need not make it
    up; the others come from everywhere. No dream begins in the frame that ended an episode, nor, where it
    can be helped, in the first frames of one that began elsewhere: a player has always more to remember.

    The last `newest` episodes, those of the present controller, give half of all situations but the
    first frames: where it gets to and what it fails at is where it has to improve.
    """
    # Of a single step from elsewhere there is nothing but a first frame, and it would pass for a start of the level.
    fit = np.array([episode.from_level or len(episode) > 1 for episode in episodes], dtype=np.float64)
    if not fit.any():
        fit[:] = 1.0
    steps = fit * np.array([len(episode) for episode in episodes], dtype=np.float64)
    died = fit * np.array([bool(episode.endings[-1, DEATH]) for episode in episodes], dtype=np.float64)
    from_level = np.flatnonzero([episode.from_level for episode in episodes])
    firsts = min(len(from_level), max(1, round(count * _FIRST_FRAMES)))
    before_deaths = round(count * _BEFORE_DEATHS) if died.any() else 0
    situations = [(int(number), 0) for number in rng.permutation(from_level)[:firsts]]

    def earliest(number: int) -> int:
        return 0 if episodes[number].from_level else min(warmup, len(episodes[number]) - 1)

    for number in _draw_episodes(died, newest, before_deaths, rng):
        end = len(episodes[number])
        situations.append((number, int(rng.integers(max(earliest(number), end - _REACH), end))))
    anywhere = _draw_episodes(steps, newest, max(0, count - len(situations)), rng)
    situations += [(number, int(rng.integers(earliest(number), len(episodes[number])))) for number in anywhere]
    return situations_of(episodes, situations, warmup)


def situations_of(episodes: Sequence[LatentEpisode], frames: Sequence[tuple[int, int]], warmup: int) -> Starts:
    """Frames (episode, step) as situations, with the at most `warmup` steps that led there."""
    latents = torch.zeros(len(frames), warmup + 1, episodes[0].posterior.mean.shape[1])
    actions = torch.zeros(len(frames), warmup, dtype=torch.int64)
    lengths = torch.zeros(len(frames), dtype=torch.int64)
    for row, (number, frame) in enumerate(frames):
        length = min(frame, warmup)
        episode = episodes[number]
        latents[row, warmup - length :] = episode.posterior.mean[frame - length : frame + 1]
        actions[row, warmup - length :] = episode.actions[frame - length : frame]
        lengths[row] = length
    return Starts(latents, actions, lengths)


def _draw_episodes(weight: NDArray[np.float64], newest: int, count: int, rng: np.random.Generator) -> list[int]:
    """Draw episodes by weight, half of them from the last `newest` where these have any weight."""
    if not count:
        return []
    shares = weight / weight.sum()
    recent = np.where(np.arange(len(weight)) >= len(weight) - newest, weight, 0.0)
    if recent.any():
        shares = 0.5 * shares + 0.5 * recent / recent.sum()
    return [int(number) for number in rng.choice(len(weight), count, p=shares)]

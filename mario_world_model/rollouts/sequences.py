"""Training sequences for the MDN-RNN: windows of latent episodes, padded and masked."""

from __future__ import annotations

import itertools
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
            Posterior(self.posterior.mean.to(device), self.posterior.log_variance.to(device)),
            self.actions.to(device),
            self.rewards.to(device),
            self.endings.to(device),
            self.mask.to(device),
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


def windows_of_epoch(
    episodes: Sequence[LatentEpisode], length: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """(episode, first step, steps) of windows that together hold every step once, shuffled.

    An episode is cut at every `length` steps from a random offset on, so that its end, and with it a
    death, falls on any step of a window alike: a memory that can count would else learn when windows end.
    """
    windows = []
    for number, episode in enumerate(episodes):
        first_cut = int(rng.integers(1, length + 1))
        cuts = [0, *range(first_cut, len(episode), length), len(episode)]
        windows += [(number, first, last - first) for first, last in itertools.pairwise(cuts)]
    rng.shuffle(windows)
    return windows


def batches_of_epoch(
    episodes: Sequence[LatentEpisode], length: int, batch_size: int, rng: np.random.Generator, skip: int = 0
) -> Iterator[SequenceBatch]:
    """One epoch of batches, the last one possibly smaller, but for the first `skip` of them."""
    windows = windows_of_epoch(episodes, length, rng)
    for first in range(skip * batch_size, len(windows), batch_size):
        yield collate(episodes, windows[first : first + batch_size], length)


def collate(episodes: Sequence[LatentEpisode], windows: Sequence[tuple[int, int, int]], length: int) -> SequenceBatch:
    """Cut windows (episode, first step, steps) out of episodes and pad them to `length` steps."""
    latent_size = episodes[0].posterior.mean.shape[1]
    count = len(windows)
    mean = torch.zeros(count, length + 1, latent_size)
    log_variance = torch.zeros(count, length + 1, latent_size)
    actions = torch.zeros(count, length, dtype=torch.int64)
    rewards = torch.zeros(count, length)
    endings = torch.zeros(count, length, episodes[0].endings.shape[1])
    mask = torch.zeros(count, length)
    for row, (number, first, steps) in enumerate(windows):
        episode = episodes[number]
        mean[row, : steps + 1] = episode.posterior.mean[first : first + steps + 1]
        log_variance[row, : steps + 1] = episode.posterior.log_variance[first : first + steps + 1]
        actions[row, :steps] = episode.actions[first : first + steps]
        rewards[row, :steps] = episode.rewards[first : first + steps]
        endings[row, :steps] = episode.endings[first : first + steps]
        mask[row, :steps] = 1.0
    return SequenceBatch(Posterior(mean, log_variance), actions, rewards, endings, mask)


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
    latents = torch.zeros(len(situations), warmup + 1, episodes[0].posterior.mean.shape[1])
    actions = torch.zeros(len(situations), warmup, dtype=torch.int64)
    lengths = torch.zeros(len(situations), dtype=torch.int64)
    for row, (number, frame) in enumerate(situations):
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

"""Training sequences for the MDN-RNN: windows of latent episodes, padded and masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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


def windows_of_epoch(episodes: Sequence[LatentEpisode], length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(episode, first step) of windows that together are as many steps as there are, shuffled.

    One window of every episode ends where the episode ends, so that no death is ever dropped; the
    others begin anywhere.
    """
    windows = []
    for number, episode in enumerate(episodes):
        spare = max(0, len(episode) - length)
        others = -(-len(episode) // length) - 1
        windows += [
            (number, spare),
            *((number, int(first)) for first in rng.integers(spare + 1, size=others)),
        ]
    rng.shuffle(windows)
    return windows


def batches_of_epoch(
    episodes: Sequence[LatentEpisode], length: int, batch_size: int, rng: np.random.Generator
) -> Iterator[SequenceBatch]:
    """One epoch of batches, the last one possibly smaller."""
    windows = windows_of_epoch(episodes, length, rng)
    for first in range(0, len(windows), batch_size):
        yield collate(episodes, windows[first : first + batch_size], length)


def collate(episodes: Sequence[LatentEpisode], windows: Sequence[tuple[int, int]], length: int) -> SequenceBatch:
    """Cut windows out of episodes and pad them to one length."""
    latent_size = episodes[0].posterior.mean.shape[1]
    count = len(windows)
    mean = torch.zeros(count, length + 1, latent_size)
    log_variance = torch.zeros(count, length + 1, latent_size)
    actions = torch.zeros(count, length, dtype=torch.int64)
    rewards = torch.zeros(count, length)
    endings = torch.zeros(count, length, episodes[0].endings.shape[1])
    mask = torch.zeros(count, length)
    for row, (number, first) in enumerate(windows):
        episode = episodes[number]
        steps = min(length, len(episode) - first)
        mean[row, : steps + 1] = episode.posterior.mean[first : first + steps + 1]
        log_variance[row, : steps + 1] = episode.posterior.log_variance[first : first + steps + 1]
        actions[row, :steps] = episode.actions[first : first + steps]
        rewards[row, :steps] = episode.rewards[first : first + steps]
        endings[row, :steps] = episode.endings[first : first + steps]
        mask[row, :steps] = 1.0
    return SequenceBatch(Posterior(mean, log_variance), actions, rewards, endings, mask)


def draw_starts(episodes: Sequence[LatentEpisode], count: int, warmup: int, rng: np.random.Generator) -> Starts:
    """Situations for dreams to begin from: the first frame of episodes, and frames drawn from everywhere.

    At most an eighth are first frames, since these are nearly alike. No dream begins in the frame
    that ended an episode.
    """
    latent_size = episodes[0].posterior.mean.shape[1]
    steps = np.array([len(episode) for episode in episodes])
    firsts = min(len(episodes), max(1, count // 8))
    numbers = np.concatenate(
        [
            rng.permutation(len(episodes))[:firsts],
            rng.choice(len(episodes), count - firsts, p=steps / steps.sum()),
        ]
    )
    latents = torch.zeros(len(numbers), warmup + 1, latent_size)
    actions = torch.zeros(len(numbers), warmup, dtype=torch.int64)
    lengths = torch.zeros(len(numbers), dtype=torch.int64)
    for row, number in enumerate(numbers):
        episode = episodes[number]
        frame = 0 if row < firsts else int(rng.integers(len(episode)))
        length = min(frame, warmup)
        latents[row, warmup - length :] = episode.posterior.mean[frame - length : frame + 1]
        actions[row, warmup - length :] = episode.actions[frame - length : frame]
        lengths[row] = length
    return Starts(latents, actions, lengths)

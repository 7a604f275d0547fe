"""Fit the networks that say how a step ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.rollouts.latents import LatentEpisode

_BATCH = 512
_RATE = 4e-3
_WEIGHT_DECAY = 1e-2


def fit_endings(network: MDNRNN, episodes: Sequence[LatentEpisode], epochs: int, noise: float, seed: int) -> None:
    """Fit the ending heads of a network to episodes, each on its own, in so many passes over all steps.

    Latents are read with Gaussian noise of a deviation of up to `noise` typical changes, as in
    `TrainMDNRNNConfig.input_noise`: what is read in a dream is M's samples. Deaths count as often as they are, so that
    odds are calibrated.
    """
    heads = network.ending_heads
    if heads is None:
        return
    device = next(network.parameters()).device
    inputs = torch.cat([_inputs(network, episode, device) for episode in episodes])
    endings = torch.cat([episode.endings for episode in episodes]).to(device)
    heads.fit_scale(inputs)
    inputs = heads.scaled(inputs)
    typical = torch.zeros(inputs.shape[1], device=device)
    changes = torch.cat([one.posterior.mean.diff(dim=0) for one in episodes]).to(device)
    typical[: network.latent_size] = changes.std(dim=0) / heads.deviation[: network.latent_size]
    luck = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for member in heads.members:
            _fit(member.requires_grad_(True).train(), inputs, endings, noise * typical, epochs, luck)
            member.requires_grad_(False).eval()


def _fit(
    member: torch.nn.Module, inputs: Tensor, endings: Tensor, noise: Tensor, epochs: int, luck: torch.Generator
) -> None:
    batches = -(-len(inputs) // _BATCH)
    optimiser = torch.optim.AdamW(member.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    # A rate that rises and falls within the few passes there are (Smith & Topin 2018).
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=epochs * batches + 1)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=luck).to(inputs.device).split(_BATCH):
            seen = inputs[rows]
            share = torch.rand((len(rows), 1), device=seen.device)
            odds = member(seen + share * noise * torch.randn_like(seen))
            loss = functional.binary_cross_entropy_with_logits(odds, endings[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


@torch.no_grad()
def _inputs(network: MDNRNN, episode: LatentEpisode, device: torch.device) -> Tensor:
    """What the heads see at every step of an episode, (T, I)."""
    latents = episode.posterior.mean[:-1].unsqueeze(0).to(device)
    recent = network.recent(latents, episode.actions.unsqueeze(0).to(device), network.initial_memory(1))
    return network.ending_inputs(latents, recent).squeeze(0)

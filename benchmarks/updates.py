"""Updates of V and M as their trainings make them, data included, on any device."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mario_world_model.config import TrainMDNRNNConfig, TrainVAEConfig
from mario_world_model.models.colour_rarity import ColourRarity
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.share import WHOLE
from mario_world_model.models.vae import VAE
from mario_world_model.rollouts.frames import FrameBatch, FramePool
from mario_world_model.rollouts.sequences import SequenceBatch, SequencePool
from mario_world_model.training.adam import adam
from mario_world_model.training.finite import require_finite
from mario_world_model.training.train_mdn_rnn import _Losses as MDNRNNLosses
from mario_world_model.training.train_vae import _Losses as VAELosses

Batch = TypeVar("Batch")
Update = Callable[[], int]
"""Makes an update and returns of how many images or steps it was."""

_COUNTED = 1024


def vae_updates(config: TrainVAEConfig, pool: FramePool, device: torch.device) -> Update:
    """Updates of V on batches of a pool."""
    torch.manual_seed(0)
    vae = VAE(config.model).to(device)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's overloads
    rarity = (
        ColourRarity(pool.spread(_COUNTED).frames.to(device), config.colour_rarity) if config.colour_rarity else None
    )
    losses, optimiser = VAELosses(vae, rarity, config), adam(vae, config.learning_rate)
    batches = _again_and_again(lambda rng: pool.batches(config.batch_size, rng))

    def update() -> int:
        batch: FrameBatch = next(batches).to(device)
        noise = torch.randn(len(batch), config.model.latent_size, device=device)
        _step(losses(batch, noise).total, vae, optimiser)
        return len(batch)

    return update


def mdn_rnn_updates(
    config: TrainMDNRNNConfig, pool: SequencePool, latent_size: int, actions: int, device: torch.device
) -> Update:
    """Updates of M on batches of a pool."""
    torch.manual_seed(0)
    network = MDNRNN(config.model, latent_size, actions).to(device)
    losses = MDNRNNLosses(network, config, torch.Generator(device=device).manual_seed(0), None)
    optimiser = adam(network, config.learning_rate)
    batches = _again_and_again(lambda rng: pool.batches(config.sequence_length, config.batch_size, rng))

    def update() -> int:
        batch: SequenceBatch = next(batches)
        _step(losses(batch, WHOLE).total, network, optimiser, config.gradient_clip)
        return batch.actions.numel()

    return update


def _again_and_again(epoch: Callable[[np.random.Generator], Iterator[Batch]]) -> Iterator[Batch]:
    for number in itertools.count():
        yield from epoch(np.random.default_rng(number))


def _step(loss: Tensor, network: VAE | MDNRNN, optimiser: torch.optim.Adam, clip: float | None = None) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = require_finite(loss, network.parameters(), "benchmark")
    if clip is not None:
        torch.nn.utils.clip_grads_with_norm_(network.parameters(), clip, norm)
    optimiser.step()

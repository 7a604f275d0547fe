"""How many-sided and how sure M's predictions are: a mixture that has collapsed, or become certain, shows here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.latents import LatentEpisode

_BINS = 40


@dataclass(frozen=True)
class Histogram:
    """Shares of values between N + 1 edges."""

    edges: list[float]
    shares: list[float]
    mean: float


@dataclass(frozen=True)
class MixtureSpread:
    """Over every step of some episodes, the truth fed until then."""

    entropy: Histogram
    """Of the weights of the components, nats."""
    most: float
    """The entropy of equal weights."""
    log_sigma: Histogram
    """Of the likeliest component, every number of the latent."""


@torch.no_grad()
def mixture_spread(world_model: WorldModel, episodes: Sequence[LatentEpisode]) -> MixtureSpread:
    """Entropy of the weights and log σ of the likeliest component, over at least one step."""
    network = world_model.mdn_rnn
    entropies, sigmas = [], []
    for episode in episodes:
        latents = episode.posterior.mean[None, :-1].to(world_model.device)
        hidden, _ = network(latents, episode.actions[None].to(world_model.device), network.initial_memory(1))
        mixture = network.predict(hidden, latents).latent
        entropies.append(mixture.entropy_of_weights().flatten().cpu().numpy())
        likeliest = mixture.log_pi.argmax(dim=-2, keepdim=True)
        sigmas.append(torch.take_along_dim(mixture.log_sigma, likeliest, dim=-2).flatten().cpu().numpy())
    most = math.log(network.config.mixtures)
    return MixtureSpread(
        entropy=_histogram(np.concatenate(entropies), (0.0, max(most, 1e-6))),
        most=most,
        log_sigma=_histogram(np.concatenate(sigmas)),
    )


def _histogram(values: NDArray[np.float32], between: tuple[float, float] | None = None) -> Histogram:
    low, high = between or (float(values.min()), float(values.max()))
    counts, edges = np.histogram(np.clip(values, low, high), _BINS, (low, high if high > low else low + 1.0))
    return Histogram(edges.tolist(), (counts / len(values)).tolist(), float(values.mean()))

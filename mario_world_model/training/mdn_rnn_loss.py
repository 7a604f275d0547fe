"""What the MDN-RNN is trained to do, and how well it does it on sequences it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mario_world_model.config import TrainMDNRNNConfig
from mario_world_model.models.mdn_rnn import DEATH, MDNRNN, REWARD_UNIT
from mario_world_model.rollouts.sequences import SequenceBatch


@dataclass(frozen=True)
class MDNRNNLoss:
    """Means over the real steps of a batch; `total` is what is minimised."""

    total: Tensor
    latent: Tensor
    """Negative log likelihood of the next latent, nats per latent number."""
    reward: Tensor
    """Squared error in units of a frame's largest reward."""
    ending: Tensor
    """Cross entropy of death and flag, nats."""
    death_hits: Tensor
    """Deaths that were given a probability above one half one step ahead."""
    deaths: Tensor
    false_alarms: Tensor
    """Survived steps with a probability of death above one half."""
    steps: Tensor


def mdn_rnn_loss(
    network: MDNRNN, batch: SequenceBatch, config: TrainMDNRNNConfig, noise: Tensor | None = None
) -> MDNRNNLoss:
    """Run M over a batch of sequences, from an empty memory, on latents drawn afresh from their posterior.

    `noise`, standard normal (B, L + 1, Z), fixes the draw; config.posterior_noise scales it.
    """
    if noise is None:
        noise = torch.randn_like(batch.posterior.mean)
    latents = batch.posterior.sample(config.posterior_noise * noise)
    hidden, _ = network(latents[:, :-1], batch.actions, network.initial_memory(len(latents)))
    prediction = network.predict(hidden, latents[:, :-1])
    latent = -prediction.latent.log_prob(latents[:, 1:]) / network.latent_size
    reward = ((prediction.reward - batch.rewards) / REWARD_UNIT).square()
    ending = functional.binary_cross_entropy_with_logits(prediction.ending_logits, batch.endings, reduction="none").sum(
        -1
    )
    # A death is one step in a hundred, and the one that a controller has to learn from.
    ended = batch.endings.amax(dim=-1)
    weight = batch.mask * (1.0 + (config.death_weight - 1.0) * ended)
    steps = batch.mask.sum()

    def mean(values: Tensor) -> Tensor:
        return (values * weight).sum() / steps

    total = mean(latent + config.reward_weight * reward + config.ending_weight * ending)
    with torch.no_grad():
        alarm = (prediction.ending_logits[..., DEATH] > 0) * batch.mask
        death = batch.endings[..., DEATH]
        return MDNRNNLoss(
            total=total,
            latent=(latent.detach() * batch.mask).sum() / steps,
            reward=(reward.detach() * batch.mask).sum() / steps,
            ending=(ending.detach() * batch.mask).sum() / steps,
            death_hits=(alarm * death).sum(),
            deaths=death.sum(),
            false_alarms=(alarm * (1.0 - death)).sum(),
            steps=steps,
        )

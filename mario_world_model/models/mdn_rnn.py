"""The memory model M: an LSTM that predicts the next latent, the reward and how an episode ends."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_world_model.config import MDNRNNConfig
from mario_world_model.models.mixture import Mixture

# Rewards are predicted in units of the largest a frame can give, so that the loss is of order one.
REWARD_UNIT = 15.0
DEATH, FLAG = 0, 1
ENDINGS = 2
# Latents have unit variance: a narrower Gaussian is a point, a wider one says nothing.
_LOG_SIGMA_BOUNDS = (-5.0, 1.5)
# Raw means outside this range arise only from inputs far off the data; bounding them keeps squares finite.
_MEAN_BOUND = 1e3


@dataclass(frozen=True)
class Memory:
    """State of the LSTM, both (B, H)."""

    hidden: Tensor
    cell: Tensor


@dataclass(frozen=True)
class Prediction:
    """What M expects of the next step, for every step that it was given."""

    latent: Mixture
    """Next latent, leading shape (B, T)."""
    reward: Tensor
    """Reward of the step, (B, T), in the environment's units."""
    ending_logits: Tensor
    """Log odds that the step ends in death [..., 0] or at the flag [..., 1], (B, T, 2)."""


class MDNRNN(nn.Module):
    """LSTM with a mixture density head; the one implementation of a recurrent step.

    Training runs `forward` over whole sequences, dream and agent over sequences of one step.
    """

    def __init__(self, config: MDNRNNConfig, latent_size: int, actions: int) -> None:
        super().__init__()
        self.config = config
        self.latent_size = latent_size
        self.actions = actions
        self.choices = 1 if config.joint else latent_size
        self.lstm = nn.LSTM(latent_size + actions, config.hidden_size, batch_first=True)
        self.mixture_head = nn.Linear(config.hidden_size, config.mixtures * (self.choices + 2 * latent_size))
        self.step_head = nn.Linear(config.hidden_size, 1 + ENDINGS)

    def initial_memory(self, batch: int) -> Memory:
        """The empty memory with which an episode begins."""
        zeros = self.step_head.weight.new_zeros(batch, self.config.hidden_size)
        return Memory(zeros, zeros)

    def forward(self, latents: Tensor, actions: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Read latents (B, T, Z) and the actions taken in them, int64 (B, T), after `memory`.

        Returns the hidden states (B, T, H) and the memory after the last step.
        """
        one_hot = functional.one_hot(actions, self.actions).to(latents.dtype)
        state = (memory.hidden.unsqueeze(0), memory.cell.unsqueeze(0))
        hidden, (last_hidden, last_cell) = self.lstm(torch.cat([latents, one_hot], dim=-1), state)
        return hidden, Memory(last_hidden.squeeze(0), last_cell.squeeze(0))

    def predict(self, hidden: Tensor, latents: Tensor) -> Prediction:
        """Predictions from hidden states (..., H) for the steps taken in latents (..., Z).

        `latents` anchor the means when the model predicts changes (config.residual): it is here,
        and nowhere else, that a change becomes a latent.
        """
        raw = self.mixture_head(hidden).unflatten(-1, (self.config.mixtures, self.choices + 2 * self.latent_size))
        raw_pi, raw_mean, raw_sigma = raw.split([self.choices, self.latent_size, self.latent_size], dim=-1)
        mean = raw_mean.clamp(-_MEAN_BOUND, _MEAN_BOUND)
        if self.config.residual:
            mean = mean + latents.unsqueeze(-2)
        low, high = _LOG_SIGMA_BOUNDS
        mixture = Mixture(
            log_pi=functional.log_softmax(raw_pi, dim=-2),
            mean=mean,
            log_sigma=low + (high - low) * torch.sigmoid(raw_sigma),
        )
        step = self.step_head(hidden)
        return Prediction(latent=mixture, reward=step[..., 0] * REWARD_UNIT, ending_logits=step[..., 1:])

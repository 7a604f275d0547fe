"""V and M together: from frames to latents and back, and one recurrent step for dream and agent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from mario_world_model.config import ActionSet, Precision, ViewConfig
from mario_world_model.models.mdn_rnn import MDNRNN, Imagined
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise
from mario_world_model.models.vae import VAE, to_frames


@dataclass(frozen=True)
class Controls:
    """Under which controls a model learned, and therefore has to be used."""

    actions: ActionSet
    frame_skip: int
    view: ViewConfig


@dataclass(frozen=True)
class Starts:
    """N real situations from which dreams begin: the steps that led there.

    Situation n is latents[n, -1]; the `lengths[n]` steps before it fill the memory, earlier
    columns are padding. A length of 0 is the first frame of an episode.
    """

    latents: Tensor
    """(N, W + 1, Z)."""
    actions: Tensor
    """int64 (N, W); actions[n, w] was taken in latents[n, w]."""
    lengths: Tensor
    """int64 (N,), 0 to W."""

    def __len__(self) -> int:
        return len(self.lengths)

    def of(self, rows: Tensor) -> Starts:
        """Some of them, int64 (N',), which may come several times."""
        return Starts(self.latents[rows], self.actions[rows], self.lengths[rows])

    def to(self, device: torch.device) -> Starts:
        return Starts(self.latents.to(device), self.actions.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class WorldModel:
    """A trained V and M that belong together."""

    vae: VAE
    mdn_rnn: MDNRNN
    controls: Controls
    starts: Starts
    reward_bounds: tuple[float, float]
    """Smallest and largest reward of a step in the data; a dream promises nothing beyond."""

    @property
    def features(self) -> int:
        """Length of what a controller sees, Z + H."""
        return self.mdn_rnn.latent_size + self.mdn_rnn.hidden_size

    def features_of(self, latents: Tensor, hidden: Tensor) -> Tensor:
        """What a controller sees, [z, h] (B, Z + H), of latents (B, Z) and hidden states (B, H)."""
        return torch.cat([latents, hidden], dim=1)

    @property
    def device(self) -> torch.device:
        return next(self.mdn_rnn.parameters()).device

    def to(self, device: torch.device) -> WorldModel:
        return dataclasses.replace(
            self, vae=self.vae.to(device), mdn_rnn=self.mdn_rnn.to(device), starts=self.starts.to(device)
        )

    def multiplying_in(self, precision: Precision) -> WorldModel:
        """The same to dream in, with the products of M's heads in this precision."""
        return self if precision == "float32" else dataclasses.replace(self, mdn_rnn=self.mdn_rnn.in_bfloat16())

    def beginning_in(self, rows: Tensor) -> WorldModel:
        """The same, with dreams that begin in some of its situations alone, int64 (N',)."""
        return dataclasses.replace(self, starts=self.starts.of(rows))

    def encode(self, frames: Tensor) -> Tensor:
        """Posterior means (B, Z) of frames uint8 (B, 64, 64, 3)."""
        return self.vae.encode(frames).mean

    def decode(self, latents: Tensor) -> Tensor:
        """Frames uint8 (B, 64, 64, 3) of latents (B, Z)."""
        return to_frames(self.vae.decode(latents))

    def imagine(
        self, latents: Tensor, actions: Tensor, memory: Memory, noise: MixtureNoise, temperature: float
    ) -> tuple[Imagined, Memory]:
        """Take actions int64 (B,) in latents (B, Z): one sampled step, and the memory after it."""
        memory = self.remember(latents, actions, memory)
        return self.mdn_rnn.imagine(memory.hidden, latents, noise, temperature), memory

    def remember(self, latents: Tensor, actions: Tensor, memory: Memory) -> Memory:
        """The memory after taking actions int64 (B,) in latents (B, Z), without a prediction."""
        after: Memory = self.mdn_rnn(latents.unsqueeze(1), actions.unsqueeze(1), memory)[1]
        return after

    def recall(self, starts: Starts) -> tuple[Tensor, Memory]:
        """Latents (N, Z) and the memory filled by the real steps that led to them."""
        steps = starts.actions.shape[1]
        memory = self.mdn_rnn.initial_memory(len(starts))
        for step in range(steps):
            after = self.remember(starts.latents[:, step], starts.actions[:, step], memory)
            padding = (step < steps - starts.lengths).unsqueeze(1)
            memory = Memory(
                torch.where(padding, memory.hidden, after.hidden),
                torch.where(padding, memory.cell, after.cell),
            )
        return starts.latents[:, -1], memory

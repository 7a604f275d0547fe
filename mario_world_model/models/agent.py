"""V, M and C playing together: frames in, actions out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.models.controller import Controllers
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.vae import Posterior
from mario_world_model.models.world_model import WorldModel

_STICKY = 0.25
"""Chance of a repeat before anything is seen: the protocol's, since nobody tells an agent how sticky its game is."""
_EVIDENCE = 0.07
"""What a nat of M's likelihood counts: its 80 numbers err together, so that it is far too sure of what was played.
Fitted by logistic regression (docs/log.md, 2026-11-27); counted as 1 it is worse than not to be asked at all."""
_NEGLIGIBLE = 0.01
"""Belief below which what may have been played is forgotten."""


@dataclass(frozen=True)
class Belief:
    """What may have been played: N cases that differ in the last action, the likeliest first."""

    actions: Tensor
    """int64 (N,), the last action."""
    memory: Memory
    """(N, H), after it."""
    weights: Tensor
    """(N,), of sum 1."""

    def draw(self, count: int, luck: torch.Generator) -> Tensor:
        """Which case each of `count` dreams begins in, int64 (count,): its weight's share of them, but for one."""
        points = (torch.arange(count) + torch.rand(1, generator=luck)) / count
        rows = torch.searchsorted(self.weights.cumsum(dim=0).cpu(), points)
        return rows.clamp(max=len(self.weights) - 1).to(self.actions.device)


@dataclass
class Agent:
    """One controller with the world model's eyes and memory.

    Sticky actions may play the action before instead of the chosen one, and nobody says so. M was
    trained on what was played; the agent therefore asks it, once the next frame is there, how well
    either explains that frame, and keeps a memory for each that is not out of the question (a Bayes filter). Some
    cannot be told apart: on the ground, nothing shows whether the jump button is held.
    """

    world_model: WorldModel
    controller: Controllers
    _belief: Belief = field(init=False)
    _last: tuple[Tensor, Tensor] | None = field(init=False)  # latents (1, Z), and the action (1,) chosen in them
    _luck: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        """Forget the last episode; `seed` decides what is drawn in the next."""
        memory = self.world_model.mdn_rnn.initial_memory(1)
        device = self.world_model.device
        self._belief = Belief(torch.zeros(1, dtype=torch.int64, device=device), memory, torch.ones(1, device=device))
        self._last = None
        self._luck = torch.Generator().manual_seed(seed)

    def take_over(self, other: Agent) -> None:
        """Go on in the episode of another agent of this world model, knowing what that one knows."""
        self._belief, self._last = other._belief, other._last

    @torch.no_grad()
    def act(self, frame: NDArray[np.uint8]) -> int:
        """The action for a frame uint8 (64, 64, 3)."""
        batch = torch.from_numpy(np.ascontiguousarray(frame)).unsqueeze(0).to(self.world_model.device)
        posterior = self.world_model.vae.encode(batch)
        if self._last is not None:
            self._belief = self._believe(posterior, *self._last)
        action = self._choose(posterior.mean)
        self._last = (posterior.mean, action)
        return int(action)

    def _choose(self, latents: Tensor) -> Tensor:
        """The action int64 (1,) in latents (1, Z)."""
        features = self.world_model.features_of(latents, self._belief.memory.hidden[:1])
        # Drawn on the CPU, so that an episode is the same on every device.
        gumbel = draw_gumbel((self.world_model.mdn_rnn.actions,), self._luck).to(features.device)
        return self.controller.act(features.unsqueeze(0), gumbel)[0]

    def _believe(self, seen: Posterior, latents: Tensor, chosen: Tensor) -> Belief:
        """The belief after the action `chosen` (1,) in latents (1, Z) led to what is seen."""
        was = self._belief
        # In every case the choice was played, or the action before once more, where that is another.
        other = torch.nonzero(was.actions != chosen).flatten()
        cases = torch.cat([torch.arange(len(was.actions), device=other.device), other])
        actions = torch.cat([chosen.expand(len(was.actions)), was.actions[other]])
        before = latents.expand(len(cases), -1)
        memory = self.world_model.remember(before, actions, was.memory.of(cases))
        if len(cases) == 1:
            return Belief(actions, memory, was.weights)
        parted = was.actions[cases] != chosen
        prior = torch.where(actions == chosen, 1.0 - _STICKY, _STICKY).where(parted, torch.ones(()).to(parted.device))
        mixture = self.world_model.mdn_rnn.predict(memory.hidden, before).latent
        evidence = mixture.log_prob(seen.mean.expand(len(cases), -1), seen.log_variance.expand(len(cases), -1))
        weights = torch.softmax(was.weights[cases].log() + prior.log() + _EVIDENCE * evidence, dim=0)
        # What was played earlier matters less than what is held now: of the cases that end alike the likeliest stays,
        # for all of them.
        alike = actions.unsqueeze(0) == actions.unsqueeze(1)
        together = (alike * weights).sum(dim=1)
        stands = (alike * weights).argmax(dim=1) == torch.arange(len(cases), device=other.device)
        kept = torch.nonzero(stands & (together >= _NEGLIGIBLE)).flatten()
        kept = kept[together[kept].argsort(descending=True, stable=True)]
        return Belief(actions[kept], memory.of(kept), together[kept] / together[kept].sum())

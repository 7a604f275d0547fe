"""The dream: the world model as a batched environment, P candidates × S start states in one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mario_world_model.config import DreamConfig
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise, draw_gumbel, draw_noise
from mario_world_model.models.world_model import Starts, WorldModel

_AS_GOOD_AS_DEAD = 1e-3  # chance of having lived below which the rest of a dream cannot matter


@dataclass
class _Situation:
    latents: Tensor  # (P·S, Z)
    memory: Memory  # (P·S, H)
    actions: Tensor  # (P·S,) played last, for stickiness
    alive: Tensor  # (P, S): 1 or 0 where deaths are drawn, else the chance of having lived so far
    steps: int


class Dream:
    """`reset` and `step` of a vector environment whose members are dreams.

    All candidates dream from the same S start states under the same luck (common random numbers),
    so that they differ by what they do alone. A finished dream stays finished until the next
    reset: it pays nothing and what it shows means nothing.

    With `weighed`, ends are not drawn: every reward is multiplied by the chance of having lived to
    get it. The expected return is the same and takes far fewer dreams to estimate.
    """

    def __init__(
        self,
        world_model: WorldModel,
        config: DreamConfig,
        candidates: int,
        starts: int,
        weighed: bool = False,
    ) -> None:
        self.weighed = weighed
        self.world_model = world_model
        self.config = config
        self.candidates = candidates
        self.starts = starts
        self._situation: _Situation | None = None
        self._luck = torch.Generator(device=world_model.device)

    @torch.no_grad()
    def reset(self, seed: int) -> tuple[Tensor, dict[str, Any]]:
        """Begin from S start states drawn by `seed`; features [z, h] (P, S, Z + H)."""
        self._luck.manual_seed(seed)
        chosen = choose_starts(self.world_model.starts, self.starts, self.config.level_starts, self._luck)
        latents, memory = self.world_model.recall(chosen)
        self._situation = _Situation(
            latents=latents.repeat(self.candidates, 1),
            memory=memory.repeat(self.candidates),
            actions=chosen.actions[:, -1].repeat(self.candidates),
            alive=torch.ones(self.candidates, self.starts, device=self.world_model.device),
            steps=0,
        )
        return self._features(), {}

    @torch.no_grad()
    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Take actions int64 (P, S).

        Returns features (P, S, Z + H), rewards (P, S), terminated and truncated bool (P, S), and an
        info with the probabilities `death` and `flag` of this step and that of having been `alive` before
        it, each (P, S).
        """
        situation = self._now()
        actions = self._stick(actions).flatten()
        network = self.world_model.mdn_rnn
        noise = draw_noise((self.starts,), network.config.mixtures, network.choices, network.latent_size, self._luck)
        shared = MixtureNoise(noise.gumbel.repeat(self.candidates, 1, 1), noise.normal.repeat(self.candidates, 1))
        imagined, memory = self.world_model.imagine(
            situation.latents, actions, situation.memory, shared, self.config.temperature
        )
        odds = self._by_candidate(torch.sigmoid(imagined.ending_logits))
        lives = 1.0 - odds.sum(dim=-1).clamp(max=1.0)
        if not self.weighed:
            lives = (torch.rand(self.starts, generator=self._luck, device=odds.device) < lives).float()
        reward = self._by_candidate(imagined.reward.clamp(*self.world_model.reward_bounds)) * situation.alive
        alive = situation.alive * lives
        self._situation = _Situation(imagined.latents, memory, actions, alive, situation.steps + 1)
        terminated = alive < _AS_GOOD_AS_DEAD
        truncated = ~terminated & (self._situation.steps >= self.config.horizon)
        info = {"death": odds[..., DEATH], "flag": odds[..., FLAG], "alive": situation.alive}
        return self._features(), reward, terminated, truncated, info

    def frames(self) -> Tensor:
        """What the dreamer sees, uint8 (P, S, 64, 64, 3)."""
        return self._by_candidate(self.world_model.decode(self._now().latents))

    def _stick(self, actions: Tensor) -> Tensor:
        luck = torch.rand(self.starts, generator=self._luck, device=actions.device)
        before = self._by_candidate(self._now().actions)
        return torch.where(luck < self.config.dream_sticky, before, actions)

    def _features(self) -> Tensor:
        now = self._now()
        return self._by_candidate(self.world_model.features_of(now.latents, now.memory.hidden))

    def _by_candidate(self, flat: Tensor) -> Tensor:
        """(P·S, …) as (P, S, …)."""
        return flat.reshape(self.candidates, self.starts, *flat.shape[1:])

    def _now(self) -> _Situation:
        if self._situation is None:
            raise RuntimeError("Dream.step was called before Dream.reset")
        return self._situation


def choose_starts(starts: Starts, count: int, level_starts: float, luck: torch.Generator) -> Starts:
    """Draw `count` situations, a share of them from where episodes begin (where any are known)."""
    beginnings = torch.nonzero(starts.lengths == 0).flatten()
    anywhere = torch.randint(len(starts), (count,), generator=luck, device=luck.device)
    from_level = round(count * level_starts) if len(beginnings) else 0
    if from_level:
        drawn = torch.randint(len(beginnings), (from_level,), generator=luck, device=luck.device)
        anywhere[:from_level] = beginnings[drawn]
    return Starts(starts.latents[anywhere], starts.actions[anywhere], starts.lengths[anywhere])


def dream_returns(dream: Dream, controllers: Controllers, seed: int, death_cost: float = 0.0) -> Tensor:
    """Dreamt return of every controller from every start state, (P, S), less `death_cost` for a death."""
    features, _ = dream.reset(seed)
    luck = torch.Generator(device=features.device).manual_seed(seed)
    total = torch.zeros(features.shape[:2], device=features.device)
    actions = controllers.bias.shape[1]
    for _ in range(dream.config.horizon):
        gumbel = draw_gumbel((dream.starts, actions), luck)
        features, reward, terminated, truncated, info = dream.step(controllers.act(features, gumbel))
        total += reward - death_cost * info["death"] * info["alive"]
        if bool((terminated | truncated).all()):
            break
    return total

"""The dream: the world model as a batched environment, P candidates × S start states in one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mario_world_model.config import DreamConfig
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise, draw_gumbel, draw_noise
from mario_world_model.models.precision import KERNEL_ROWS
from mario_world_model.models.world_model import Starts, WorldModel

_AS_GOOD_AS_DEAD = 1e-3  # chance of having lived below which the rest of a dream cannot matter


@dataclass
class _Situation:
    """N dreams: those that began alike and have gone alike since are one, but for some that fill up their number."""

    which: Tensor  # int64 (P, S): which of the N every candidate dreams
    start: Tensor  # int64 (N,): the start state, whose luck it has
    latents: Tensor  # (N, Z)
    memory: Memory  # (N, H)
    actions: Tensor  # int64 (N,) played last, for stickiness
    alive: Tensor  # (N,): 1 or 0 where deaths are drawn, else the chance of having lived so far
    steps: int


class Dream:
    """`reset` and `step` of a vector environment whose members are dreams.

    All candidates dream from the same S start states under the same luck (common random numbers),
    so that they differ by what they do alone. Candidates that have done the same from the same start are therefore in
    the same dream, and it is dreamt once: an evolution that has settled dreams tens of times less than it has
    candidates. A finished dream stays finished until the next reset: it pays nothing and what it shows means nothing.

    With `weighed`, ends are not drawn: every reward is multiplied by the chance of having lived to
    get it. The expected return is the same and takes far fewer dreams to estimate.

    With `sees`, int64 (F,), the features that it gives are these alone of the Z + H.
    """

    def __init__(
        self,
        world_model: WorldModel,
        config: DreamConfig,
        candidates: int,
        starts: int,
        weighed: bool = False,
        sees: Tensor | None = None,
    ) -> None:
        self.weighed = weighed
        self.sees = sees
        self.world_model = world_model
        self.config = config
        self.candidates = candidates
        self.starts = starts
        self._situation: _Situation | None = None
        self._luck = torch.Generator(device=world_model.device)

    @torch.no_grad()
    def reset(self, seed: int, chosen: Starts | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Begin from S start states drawn by `seed`, or from S `chosen` ones; features [z, h] (P, S, Z + H)."""
        self._luck.manual_seed(seed)
        if chosen is None:
            chosen = choose_starts(self.world_model.starts, self.starts, self.config.level_starts, self._luck)
        return self._begin(*self.world_model.recall(chosen), chosen.actions[:, -1]), {}

    @torch.no_grad()
    def reset_at(self, seed: int, latents: Tensor, memory: Memory, actions: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Begin where one is: latents (S, Z), the memory (S, H) and the actions int64 (S,) played last.

        Features [z, h] (P, S, Z + H). Where situations are alike, luck tells them apart.
        """
        self._luck.manual_seed(seed)
        return self._begin(latents, memory, actions), {}

    def _begin(self, latents: Tensor, memory: Memory, actions: Tensor) -> Tensor:
        numbers = torch.arange(self.starts, device=self.world_model.device)
        self._situation = _Situation(
            which=numbers.repeat(self.candidates, 1),
            start=numbers,
            latents=latents,
            memory=memory,
            actions=actions,
            alive=torch.ones(self.starts, device=self.world_model.device),
            steps=0,
        )
        return self._features()

    @torch.no_grad()
    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Take actions int64 (P, S).

        Returns features (P, S, Z + H), rewards (P, S), terminated and truncated bool (P, S), and an
        info with the probabilities `death` and `flag` of this step and that of having been `alive` before
        it, each (P, S).
        """
        now = self._now()
        which, parent, actions = self._parted(self._stick(actions))
        start = now.start[parent]
        network = self.world_model.mdn_rnn
        noise = draw_noise((self.starts,), network.config.mixtures, network.choices, network.latent_size, self._luck)
        imagined, memory = self.world_model.imagine(
            now.latents[parent],
            actions,
            now.memory.of(parent),
            MixtureNoise(noise.gumbel[start], noise.normal[start]),
            self.config.temperature,
        )
        odds = torch.sigmoid(imagined.ending_logits)
        lives = 1.0 - odds.sum(dim=-1).clamp(max=1.0)
        if not self.weighed:
            lives = (torch.rand(self.starts, generator=self._luck, device=odds.device)[start] < lives).float()
        before = now.alive[parent]
        reward = imagined.reward.clamp(*self.world_model.reward_bounds) * before
        # As good as dead is dead: whether others dream on beside it must not change what a dream pays.
        alive = functional.threshold(before * lives, _AS_GOOD_AS_DEAD, 0.0)
        self._situation = _Situation(which, start, imagined.latents, memory, actions, alive, now.steps + 1)
        terminated = (alive == 0.0)[which]
        truncated = ~terminated & (self._situation.steps >= self.config.horizon)
        info = {"death": odds[:, DEATH][which], "flag": odds[:, FLAG][which], "alive": before[which]}
        return self._features(), reward[which], terminated, truncated, info

    def frames(self) -> Tensor:
        """What the dreamer sees, uint8 (P, S, 64, 64, 3)."""
        now = self._now()
        return self.world_model.decode(now.latents)[now.which]

    @property
    def different(self) -> int:
        """How many of the P·S dreams differ so far."""
        return int(self._now().which.amax()) + 1

    def _stick(self, actions: Tensor) -> Tensor:
        luck = torch.rand(self.starts, generator=self._luck, device=actions.device)
        now = self._now()
        return torch.where(luck < self.config.dream_sticky, now.actions[now.which], actions)

    def _parted(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How dreams part under actions int64 (P, S).

        Returns which of the N' dreams there are then each candidate dreams (P, S), which each of them was before (N',)
        and the action that made it another (N',), N' a multiple of `KERNEL_ROWS`, the last ones again. All that are
        over become one: they differ in nothing that counts.
        """
        now, choices = self._now(), self.world_model.mdn_rnn.actions
        over = (now.alive == 0.0)[now.which]
        one_of_them = now.alive.argmin() * choices
        step = torch.where(over, one_of_them, now.which * choices + actions)
        steps, which = torch.unique(step, return_inverse=True)
        steps = torch.cat([steps, steps[-1:].expand(-len(steps) % KERNEL_ROWS)])
        return which, steps // choices, steps % choices

    def _features(self) -> Tensor:
        now = self._now()
        features = self.world_model.features_of(now.latents, now.memory.hidden)
        return (features if self.sees is None else features[:, self.sees])[now.which]

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
    return starts.of(anywhere)


def dream_returns(dream: Dream, controllers: Controllers, seed: int, death_cost: float = 0.0) -> Tensor:
    """Dreamt return of every controller from every start state, (P, S), less `death_cost` for a death."""
    rewards, deaths = dream_outcomes(dream, controllers, seed)
    return rewards - death_cost * deaths


def dream_outcomes(
    dream: Dream, controllers: Controllers, seed: int, chosen: Starts | None = None
) -> tuple[Tensor, Tensor]:
    """Reward and chance of death of every controller from every start state, both (P, S).

    The states are drawn by `seed`, or `chosen`.
    """
    features, _ = dream.reset(seed, chosen)
    luck = torch.Generator(device=features.device).manual_seed(seed)
    rewards = torch.zeros(features.shape[:2], device=features.device)
    deaths = torch.zeros_like(rewards)
    actions = controllers.bias.shape[1]
    for _ in range(dream.config.horizon):
        gumbel = draw_gumbel((dream.starts, actions), luck)
        features, reward, terminated, truncated, info = dream.step(controllers.act(features, gumbel))
        rewards += reward
        deaths += info["death"] * info["alive"]
        if bool((terminated | truncated).all()):
            break
    return rewards, deaths

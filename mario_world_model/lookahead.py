"""An agent that tries in its dream what it could do, before it does it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mario_world_model.config import DreamConfig, LookaheadConfig
from mario_world_model.dream import Dream
from mario_world_model.models.agent import Agent
from mario_world_model.models.mixture import draw_gumbel


@dataclass
class LookaheadAgent(Agent):
    """Plays the action after which the controller fares best in dreams from here.

    A rollout policy (Tesauro & Galperin 1996, "On-line Policy Improvement using Monte-Carlo Search"): every action
    is tried first in some dreams, under the same luck as the others, and the controller dreams on from there. So what M
    knows and C, which is small and sees less, does not, is of use; nothing is learned from the game. Where the
    controller's own choice is safe enough it is played, and nothing else is tried.
    """

    config: LookaheadConfig
    _dream_luck: torch.Generator = field(init=False)

    def reset(self, seed: int) -> None:
        super().reset(seed)
        # Its own, so that the controller's choices are those of an agent that does not look ahead.
        self._dream_luck = torch.Generator().manual_seed(seed)

    def _choose(self, latents: Tensor, played: Tensor) -> Tensor:
        own = super()._choose(latents, played)
        seed = int(torch.randint(2**31, (1,), generator=self._dream_luck))
        death, _ = self._try(own, latents, played, seed)
        if float(death) <= self.config.lookahead_doubt:
            return own
        actions = torch.arange(self.world_model.mdn_rnn.actions, device=latents.device)
        _, returns = self._try(actions, latents, played, seed)
        best = returns.argmax().unsqueeze(0)
        return best if returns[best] > returns[own] else own

    def _try(self, actions: Tensor, latents: Tensor, played: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Chance of death and return, less the cost of death, after each of A first actions int64 (A,); both (A,)."""
        dreams = self.config.lookahead
        dream = Dream(
            self.world_model, DreamConfig(horizon=self.config.lookahead_steps), len(actions), dreams, weighed=True
        )
        dream.reset_at(seed, latents, self._memory, played)
        luck = torch.Generator(device=latents.device).manual_seed(seed)
        chosen = actions.unsqueeze(1).expand(-1, dreams)
        death = torch.zeros(chosen.shape, device=latents.device)
        total = torch.zeros_like(death)
        for _ in range(self.config.lookahead_steps):
            features, reward, terminated, _, info = dream.step(chosen)
            death += info["death"] * info["alive"]
            total += reward
            if bool(terminated.all()):
                break
            gumbel = draw_gumbel((dreams, self.world_model.mdn_rnn.actions), luck).repeat(len(actions), 1)
            chosen = self.controller.act(features.flatten(0, 1).unsqueeze(0), gumbel)[0].view(-1, dreams)
        return death.mean(dim=1), (total - self.config.lookahead_death_cost * death).mean(dim=1)

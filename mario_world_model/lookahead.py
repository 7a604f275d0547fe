"""An agent that tries in its dream what it could do, before it does it."""

from __future__ import annotations

import math
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
    is tried first in some dreams, for one step or held for some, under the same luck as the others, and the controller
    dreams on from there. So what M knows and C, which is small and sees less, does not, is of use; nothing is learned
    from the game. Held, since a jump over a pit is one decision and many steps: a controller that would let go of the
    button too early makes every first step of it look deadly.

    What it intends is the rest of the plan that it chose, or where that is over what the controller chooses. Where
    this is safe enough, and gets on as far as is asked for, it is played, and nothing else is tried.

    To collect, it may go astray: where it would search, it plays with a chance of `stray` any plan to its end. All
    that it would otherwise play are plans which M thinks well of, and nobody would tell M where it is wrong.
    """

    config: LookaheadConfig
    stray: float = 0.0
    _dream_luck: torch.Generator = field(init=False)
    _following: tuple[Tensor, int] | None = field(init=False)  # an action int64 (1,), and for how many steps yet
    _astray: bool = field(init=False)

    def reset(self, seed: int) -> None:
        super().reset(seed)
        # Its own, so that the controller's choices are those of an agent that does not look ahead.
        self._dream_luck = torch.Generator().manual_seed(seed)
        self._following = None
        self._astray = False

    def _choose(self, latents: Tensor) -> Tensor:
        own = super()._choose(latents)
        action, steps = self._following if self._following and self._astray else self._plan(own, latents)
        self._following = (action, steps - 1) if steps > 1 else None
        return action

    def _plan(self, own: Tensor, latents: Tensor) -> tuple[Tensor, int]:
        """The action int64 (1,) to play, and for how many steps, where the controller chooses its `own` (1,)."""
        seed = int(torch.randint(2**31, (1,), generator=self._dream_luck))
        intended, steps = self._following or (own, 1)
        alone = self._try(intended, torch.full_like(intended, steps), latents, seed, self.config.lookahead)
        self._astray = False
        if not self._in_trouble(*alone):
            return intended, steps
        choices, holds = self.world_model.mdn_rnn.actions, torch.tensor(self.config.lookahead_holds)
        # What is intended comes first, and is what is played where nothing is better.
        actions = torch.cat((intended, own, torch.arange(choices, device=own.device).repeat(len(holds))))
        held = torch.cat((torch.tensor([steps, 1]), holds.repeat_interleave(choices))).to(own.device)
        if self.stray:
            self._astray = float(torch.rand(1, generator=self._dream_luck)) < self.stray
        if self._astray:
            plan = int(torch.randint(len(actions), (1,), generator=self._dream_luck))
        else:
            deaths, rewards, best = self._compare(actions, held, latents, seed)
            plan = best if self._in_trouble(deaths, rewards) else 0
        return actions[plan].unsqueeze(0), int(held[plan])

    def _compare(self, actions: Tensor, held: Tensor, latents: Tensor, seed: int) -> tuple[Tensor, Tensor, int]:
        """`_try`, in the more dreams the better a plan looks: chance of death and reward (A,), and the best plan.

        Successive halving (Karnin et al. 2013, "Almost Optimal Exploration in Multi-Armed Bandits"), but for thirds:
        every plan has a ninth of the dreams, those on the shortlist a third, and the best third of these all. The
        first plan is always on the list. The best is one of those that have all, for with few dreams it is luck that
        looks best.
        """
        dreams, listed = self.config.lookahead, self.config.lookahead_shortlist
        rounds = [(len(actions), dreams)]
        if listed:
            ninth, third = math.ceil(dreams / 9), math.ceil(dreams / 3)
            rounds = [(len(actions), ninth), (listed, third - ninth), (math.ceil(listed / 3), dreams - third)]
        deaths = torch.zeros(len(actions), device=latents.device)
        rewards, before = torch.zeros_like(deaths), 0
        kept = torch.arange(len(actions), device=latents.device)
        for number, (size, more) in enumerate(rounds):
            worth = self._worth(deaths, rewards)[kept]
            if number == 1:
                worth[0] = math.inf
            kept = kept[worth.topk(min(size, len(kept))).indices.sort().values]
            if more:
                new_deaths, new_rewards = self._try(actions[kept], held[kept], latents, seed + number, more)
                share = more / (before + more)
                deaths[kept] = deaths[kept].lerp(new_deaths, share)
                rewards[kept] = rewards[kept].lerp(new_rewards, share)
            before += more
        return deaths, rewards, int(kept[self._worth(deaths, rewards)[kept].argmax()])

    def _worth(self, deaths: Tensor, rewards: Tensor) -> Tensor:
        return rewards - self.config.lookahead_death_cost * deaths

    def _in_trouble(self, deaths: Tensor, rewards: Tensor) -> bool:
        """Whether the first plan may kill, or leads nowhere."""
        asked = self.config.lookahead_progress
        return float(deaths[0]) > self.config.lookahead_doubt or (asked is not None and float(rewards[0]) < asked)

    def _try(self, actions: Tensor, held: Tensor, latents: Tensor, seed: int, dreams: int) -> tuple[Tensor, Tensor]:
        """Chance of death and reward of A plans, each in so many dreams, both (A,).

        A plan is an action int64 (A,), for so many steps int64 (A,), and then what the controller chooses.
        """
        config = DreamConfig(horizon=self.config.lookahead_steps)
        dream = Dream(self.world_model, config, len(actions), dreams, weighed=True)
        luck = torch.Generator(device=latents.device).manual_seed(seed)
        cases = self._belief.draw(dreams, torch.Generator().manual_seed(seed))
        dream.reset_at(seed, latents.expand(dreams, -1), self._belief.memory.of(cases), self._belief.actions[cases])
        planned = actions.unsqueeze(1).expand(-1, dreams)
        chosen = planned
        death = torch.zeros(planned.shape, device=latents.device)
        total = torch.zeros_like(death)
        for step in range(1, self.config.lookahead_steps + 1):
            features, reward, terminated, _, info = dream.step(chosen)
            death += info["death"] * info["alive"]
            total += reward
            if bool(terminated.all()):
                break
            gumbel = draw_gumbel((dreams, self.world_model.mdn_rnn.actions), luck).repeat(len(actions), 1)
            own = self.controller.act(features.flatten(0, 1).unsqueeze(0), gumbel)[0].view(-1, dreams)
            chosen = torch.where((step < held).unsqueeze(1), planned, own)
        return death.mean(dim=1), total.mean(dim=1)

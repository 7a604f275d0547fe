"""An agent that tries in its dream what it could do, before it does it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mario_world_model.config import DreamConfig, LookaheadConfig
from mario_world_model.dream import Dream
from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.models.agent import Agent
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.precision import precision_on
from mario_world_model.models.world_model import WorldModel
from mario_world_model.plans import Plans

_AGAIN = 3  # times the dreams in which it searches again
# Change of a latent number, in a step, below which nothing moves: a tenth of a tile where it is Mario's place.
_STILL = 0.1
# What tells how far the screen is in the level to a part of a tile, and how much of it is a tile.
_SCREEN = slice(LANDMARKS.index("sin_256"), LANDMARKS.index("cos_256") + 1)
_MOVED_ON = 0.4


@dataclass
class LookaheadAgent(Agent):
    """Plays the action after which the controller fares best in dreams from here.

    A rollout policy (Tesauro & Galperin 1996, "On-line Policy Improvement using Monte-Carlo Search"): every action
    is tried first in some dreams, for one step or held for some, under the same luck as the others, and the controller
    dreams on from there. So what M knows and C, which is small and sees less, does not, is of use; nothing is learned
    from the game. Held, since a jump over a pit is one decision and many steps: a controller that would let go of the
    button too early makes every first step of it look deadly. The best of these are tried with another action after
    them, since who waits for a goomba has to jump it then, and the controller may not. Where what is found may kill all
    the same, it searches again in more dreams: which plans are taken further is what few of them decide badly, and
    nowhere else does it matter.

    What it intends is the rest of the plan that it chose, or where that is over what the controller chooses. Where
    this is safe enough, and gets on as far as is asked for, it is played, and nothing else is tried.

    What M promises may never come: at the foot of the flagpole it expects the flag from standing there. Where nothing
    has moved for a while, any plan that M thinks safe is played by lot, to its end while it is safe. And where all that
    leads on is too dangerous, it is done all the same, in time: the longer the screen stands, the less a death costs.

    To collect, it may go astray: where it would search, it plays with a chance of `stray` any plan to its end. All
    that it would otherwise play are plans which M thinks well of, and nobody would tell M where it is wrong.
    """

    config: LookaheadConfig
    stray: float = 0.0
    _dreamt: WorldModel = field(init=False)  # the world model, in the precision in which it is dreamt in
    _dream_luck: torch.Generator = field(init=False)
    chosen: Plans | None = field(init=False)
    """The one plan that it follows, of which it played the first action; None before its first step."""
    in_danger: bool = field(init=False)
    """Whether what it intended in its last step could kill, so that it compared plans."""
    _astray: bool = field(init=False)
    _by_lot: bool = field(init=False)  # whether what it follows was drawn so
    _still: int = field(init=False)  # steps in which nothing has moved
    _screen: Tensor | None = field(init=False)  # where the screen was when it last moved on
    _stuck: int = field(init=False)  # steps since then

    def __post_init__(self) -> None:
        precision = precision_on(self.world_model.device, self.config.lookahead_precision)
        self._dreamt = self.world_model.multiplying_in(precision)
        super().__post_init__()

    def reset(self, seed: int) -> None:
        super().reset(seed)
        # Its own, so that the controller's choices are those of an agent that does not look ahead.
        self._dream_luck = torch.Generator().manual_seed(seed)
        self.chosen = None
        self.in_danger = False
        self._astray = self._by_lot = False
        self._still = self._stuck = 0
        self._screen = None

    @torch.no_grad()
    def chance_of_death(self, dreams: int, seed: int) -> float:
        """Of the plan it chose in its last step, in that many new dreams of `lookahead_steps` steps."""
        assert self.chosen is not None
        assert self._last is not None
        return float(self._try(self.chosen, self._last[0], seed, dreams)[0])

    def _choose(self, latents: Tensor) -> Tensor:
        own = super()._choose(latents)
        self._still = self._still + 1 if self._last is not None and self._alike(latents, self._last[0]) else 0
        self._watch_screen(latents)
        left = self.chosen.rest() if self.chosen else None
        self.chosen = left if left and self._astray else self._plan(own, left, latents)
        return self.chosen.actions[:, 0]

    def _plan(self, own: Tensor, left: Plans | None, latents: Tensor) -> Plans:
        """The one plan to follow, where the controller's `own` action is (1,), and this is `left` of the one before."""
        seed = int(torch.randint(2**31, (1,), generator=self._dream_luck))
        own_choice = Plans.held(own, 1)
        intended = left or own_choice
        alone = self._try(intended, latents, seed, self.config.lookahead)
        self.in_danger = not self._is_safe(alone[0])
        self._astray = False
        self._by_lot = self._by_lot and left is not None
        if self._by_lot and self._is_safe(alone[0]):
            return intended
        self._by_lot = self.config.lookahead_still > 0 and self._still >= self.config.lookahead_still
        if not self._by_lot and not self._in_trouble(*alone):
            return intended
        every = torch.arange(self.world_model.mdn_rnn.actions, device=own.device)
        held = [Plans.held(every, steps) for steps in self.config.lookahead_holds]
        # What is intended comes first, and is what is played where nothing is better.
        plans = Plans.all_of([intended, own_choice, *held])
        if self.stray:
            self._astray = float(torch.rand(1, generator=self._dream_luck)) < self.stray
        if self._astray:
            return plans[int(torch.randint(len(plans), (1,), generator=self._dream_luck))]
        found, deaths, rewards, best = self._compare(plans, latents, seed, self.config.lookahead)
        if self._by_lot:
            safe = torch.nonzero(deaths <= deaths[best].clamp(min=self.config.lookahead_doubt)).flatten()
            return found[safe[torch.randint(len(safe), (1,), generator=self._dream_luck).to(safe.device)]]
        if not self._in_trouble(deaths, rewards):
            return intended
        if float(deaths[best]) > self.config.lookahead_again:
            # What was found takes the place of what is intended: it is tried beside all others, and kept if none is
            # better.
            plans = Plans.all_of([found[best], own_choice, *held])
            again = int(torch.randint(2**31, (1,), generator=self._dream_luck))
            found, *_, best = self._compare(plans, latents, again, _AGAIN * self.config.lookahead)
        return found[best]

    def _compare(self, plans: Plans, latents: Tensor, seed: int, dreams: int) -> tuple[Plans, Tensor, Tensor, int]:
        """`_try`, in the more of so many dreams the better a plan looks.

        Successive halving (Karnin et al. 2013, "Almost Optimal Exploration in Multi-Armed Bandits"), but for thirds:
        every plan has a ninth of the dreams, those on the shortlist a third, and the best third of these all. The
        first plan is always on the list. The best is one of those that have all, for with few dreams it is luck that
        looks best.

        Returns these plans and those that go on from the best of them, chance of death and reward of each (A',), and
        the best plan's number.
        """
        listed = self.config.lookahead_shortlist
        first, rounds = dreams, []
        if listed:
            first, rounds = math.ceil(dreams / 9), [(listed, math.ceil(dreams / 3)), (math.ceil(listed / 3), dreams)]
        deaths, rewards = self._try(plans, latents, seed, first)
        further = self._go_on(plans, self._worth(deaths, rewards))
        if further is not None:
            plans = Plans.all_of([plans, further])
            further_deaths, further_rewards = self._try(further, latents, seed, first)
            deaths, rewards = torch.cat([deaths, further_deaths]), torch.cat([rewards, further_rewards])
        kept = torch.arange(len(plans), device=latents.device)
        before = first
        for number, (size, in_all) in enumerate(rounds, start=1):
            worth = self._worth(deaths, rewards)[kept]
            if number == 1:
                worth[0] = math.inf
            kept = kept[worth.topk(min(size, len(kept))).indices.sort().values]
            if in_all > before:
                new_deaths, new_rewards = self._try(plans[kept], latents, seed + number, in_all - before)
                share = (in_all - before) / in_all
                deaths[kept] = deaths[kept].lerp(new_deaths, share)
                rewards[kept] = rewards[kept].lerp(new_rewards, share)
            before = in_all
        return plans, deaths, rewards, int(kept[self._worth(deaths, rewards)[kept].argmax()])

    def _go_on(self, plans: Plans, worth: Tensor) -> Plans | None:
        """The plans worth most, each with every action but its last held after it, if any are asked for."""
        holds = [steps for steps in self.config.lookahead_holds if steps > 1]
        if not self.config.lookahead_second or not holds:
            return None
        # The first two are left out: what is intended may be the rest of two actions already, and the controller's
        # choice is among the others.
        best = plans[2 + worth[2:].topk(min(self.config.lookahead_second, len(worth) - 2)).indices]
        every = torch.arange(self.world_model.mdn_rnn.actions, device=worth.device)
        return Plans.all_of([best.then(Plans.held(every, steps)) for steps in holds])

    def _worth(self, deaths: Tensor, rewards: Tensor) -> Tensor:
        patience = self.config.lookahead_patience
        halvings = self._stuck // patience if patience else 0
        return rewards - self.config.lookahead_death_cost * 0.5**halvings * deaths

    def _in_trouble(self, deaths: Tensor, rewards: Tensor) -> bool:
        """Whether the first plan may kill, or leads nowhere."""
        asked = self.config.lookahead_progress
        return not self._is_safe(deaths) or (asked is not None and float(rewards[0]) < asked)

    def _is_safe(self, deaths: Tensor) -> bool:
        """Whether the first plan kills as rarely as is asked for."""
        return float(deaths[0]) <= self.config.lookahead_doubt

    def _watch_screen(self, latents: Tensor) -> None:
        """Count the steps since it moved on, as far as V was taught to see that, in latents (1, Z)."""
        if not self.world_model.vae.config.landmarks:
            return
        screen = latents[:, _SCREEN]
        if self._screen is None or float((screen - self._screen).abs().max()) >= _MOVED_ON:
            self._screen, self._stuck = screen, 0
        else:
            self._stuck += 1

    def _alike(self, latents: Tensor, before: Tensor) -> bool:
        """Whether nothing has moved between two latents (1, Z): nothing that V was taught to see, or nothing at all."""
        taught = len(LANDMARKS) if self.world_model.vae.config.landmarks else latents.shape[1]
        return float((latents - before)[:, :taught].abs().max()) < _STILL

    def _try(self, plans: Plans, latents: Tensor, seed: int, dreams: int) -> tuple[Tensor, Tensor]:
        """Chance of death and reward of A plans, each in so many dreams, both (A,).

        When a plan is over the controller plays on.
        """
        config = DreamConfig(horizon=self.config.lookahead_steps)
        dream = Dream(self._dreamt, config, len(plans), dreams, weighed=True)
        luck = torch.Generator(device=latents.device).manual_seed(seed)
        cases = self._belief.draw(dreams, torch.Generator().manual_seed(seed))
        dream.reset_at(seed, latents.expand(dreams, -1), self._belief.memory.of(cases), self._belief.actions[cases])
        chosen = plans.actions[:, :1].expand(-1, dreams)
        death = torch.zeros(chosen.shape, device=latents.device)
        total = torch.zeros_like(death)
        for step in range(1, self.config.lookahead_steps + 1):
            features, reward, terminated, _, info = dream.step(chosen)
            death += info["death"] * info["alive"]
            total += reward
            if bool(terminated.all()):
                break
            gumbel = draw_gumbel((dreams, self.world_model.mdn_rnn.actions), luck).repeat(len(plans), 1)
            own = self.controller.act(features.flatten(0, 1).unsqueeze(0), gumbel)[0].view(-1, dreams)
            planned, goes_on = plans.at(step)
            chosen = torch.where(goes_on.unsqueeze(1), planned.unsqueeze(1), own)
        return death.mean(dim=1), total.mean(dim=1)

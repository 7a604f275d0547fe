from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from mario_world_model import cli
from mario_world_model.config import DreamConfig, LookaheadConfig, Precision
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.lookahead import LookaheadAgent
from mario_world_model.models.agent import Agent, Belief
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.memory import Memory
from mario_world_model.models.world_model import WorldModel
from mario_world_model.plans import Plans
from tests.world import ACTIONS, small_world, who_prefers

FRAME = np.zeros((64, 64, 3), np.uint8)
DEADLY = 3


def deadly_world() -> WorldModel:
    """A world in which one action kills, and nothing else does."""
    world = small_world(head_size=0)
    last = world.mdn_rnn.step_head
    with torch.no_grad():
        # Behind the LSTM's units and the change of the latent, hidden states hold the action.
        last.weight[1 + DEATH].zero_()
        last.weight[1 + DEATH, -ACTIONS + DEADLY] = 40.0
        last.bias[1 + DEATH] = -20.0
        last.weight[1 + FLAG].zero_()
        last.bias[1 + FLAG] = -20.0
    return world


def undecided_world(certainty: float) -> WorldModel:
    """With random weights one action would look best everywhere: here chance decides."""
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.mixture_head.bias.add_(1.0)
        world.mdn_rnn.step_head.weight.mul_(certainty)
    return world


def certain(memory: Memory, row: int, action: int = 0) -> Belief:
    """No doubt about what was played."""
    return Belief(torch.tensor([action]), memory.of(torch.tensor([row])), torch.ones(1))


def test_it_does_not_do_what_kills_in_its_dream() -> None:
    world = deadly_world()
    config = LookaheadConfig(lookahead=8, lookahead_steps=1, lookahead_holds=(1,))
    agents = [Agent(world, who_prefers(world, DEADLY)), LookaheadAgent(world, who_prefers(world, DEADLY), config)]
    deaths = [sum(agent.act(FRAME) == DEADLY for _ in range(20)) for agent in agents]
    assert deaths == [20, 0]


@torch.no_grad()
def test_an_action_is_held_before_the_controller_plays_on() -> None:
    world = deadly_world()
    agent = LookaheadAgent(world, who_prefers(world, DEADLY), LookaheadConfig(lookahead=8, lookahead_steps=4))
    latents, memory = world.recall(world.starts)
    agent._belief = certain(memory, 0)
    safe, deadly_plan = torch.tensor([0]), torch.tensor([DEADLY])
    plans = Plans.all_of([Plans.held(safe, 1), Plans.held(safe, 4), Plans.held(deadly_plan, 1)])
    death, _ = agent._try(plans, latents[:1], 1, 8)
    held_for_one, held_for_all, deadly = death.tolist()
    assert held_for_one > 0.9
    assert held_for_all < 1e-3
    assert deadly > 0.9


def test_one_that_sees_no_danger_plays_what_its_controller_chooses() -> None:
    world = deadly_world()
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    plain = Agent(world, controller)
    content = LookaheadConfig(lookahead=2, lookahead_steps=8, lookahead_doubt=1.0, lookahead_progress=None)
    content = dataclasses.replace(content, lookahead_still=0)
    bold = LookaheadAgent(world, controller, content)
    played = [[agent.act(FRAME) for _ in range(40)] for agent in (plain, bold)]
    assert played[0] == played[1]
    assert len(set(played[0])) == ACTIONS


def test_one_that_gets_nowhere_tries_what_else_there_is() -> None:
    """Its own choice is safe, and the worst of all in every dream."""
    world = small_world()
    config = LookaheadConfig(8, lookahead_steps=6, lookahead_holds=(6,), lookahead_second=0, lookahead_doubt=1.0)
    agent = LookaheadAgent(world, who_prefers(world, 0), config)
    latents, memory = world.recall(world.starts)
    agent._belief = certain(memory, 9)
    every = torch.arange(ACTIONS)
    with torch.no_grad():
        _, rewards = agent._try(Plans.held(every, 6), latents[9:10], 1, 8)
    worst, least = int(rewards.argmin()), float(rewards.min())
    for asked, played in ((None, {worst}), (least - 1e3, {worst}), (least + 1e3, set(range(ACTIONS)) - {worst})):
        asking = dataclasses.replace(config, lookahead_progress=asked)
        agent = LookaheadAgent(world, who_prefers(world, worst), asking)
        agent.reset(seed=3)
        assert {agent.act(FRAME) for _ in range(3)} <= played


@torch.no_grad()
def test_it_dreams_of_all_that_may_have_been_played() -> None:
    """Where the deadly action may have been played last, a repeat of it kills."""
    world = deadly_world()
    latents, memory = world.recall(world.starts)
    both = Belief(torch.tensor([0, DEADLY]), memory.of(torch.tensor([0, 0])), torch.tensor([0.75, 0.25]))
    agent = LookaheadAgent(world, who_prefers(world, 0), LookaheadConfig(lookahead=400, lookahead_steps=1))
    agent._belief = both
    deaths, _ = agent._try(Plans.held(torch.tensor([0]), 1), latents[:1], 1, 400)
    assert float(deaths) == pytest.approx(0.25 * 0.25, abs=0.04)
    drawn = [both.draw(6, torch.Generator().manual_seed(seed)).tolist().count(1) for seed in range(200)]
    assert set(drawn) == {1, 2}
    assert sum(drawn) / 200 == pytest.approx(1.5, abs=0.15)


class Counting(LookaheadAgent):
    """Keeps how many plans it tried in how many dreams."""

    def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
        self.tried = [*getattr(self, "tried", []), (len(plans), where[-1])]
        return super()._try(plans, *where)


def test_a_shortlist_spares_dreams_of_plans_that_look_bad() -> None:
    world = deadly_world()
    config = LookaheadConfig(lookahead=20, lookahead_steps=1, lookahead_holds=(1,), lookahead_shortlist=4)
    agent = Counting(world, who_prefers(world, DEADLY), config)
    assert DEADLY not in {agent.act(FRAME) for _ in range(4)}
    assert agent.tried == [(1, 20), (2 + ACTIONS, 3), (4, 4), (2, 13)] * 4


@torch.no_grad()
def test_what_is_known_of_a_plan_is_what_all_of_its_dreams_say() -> None:
    world = undecided_world(4.0)
    latents, memory = world.recall(world.starts)
    where = (latents[:1],)
    plans = Plans.held(torch.arange(ACTIONS), 1)
    config = LookaheadConfig(lookahead=27, lookahead_steps=6, lookahead_second=0, lookahead_shortlist=3)
    agent = LookaheadAgent(world, who_prefers(world, 0), config)
    agent._belief = certain(memory, 0)
    _, deaths, rewards, best = agent._compare(plans, *where, 5, 27)
    few = agent._try(plans, *where, 5, 3)
    worth = agent._worth(*few)
    listed = [0, *(1 + worth[1:].topk(2).indices.sort().values).tolist()]  # the first is what is intended
    more = agent._try(plans[torch.tensor(listed)], *where, 6, 6)
    most = agent._try(plans[best], *where, 7, 18)
    assert best in listed
    for part, whole in enumerate((deaths, rewards)):
        expected = few[part].clone()
        expected[listed] = few[part][listed] / 3 + more[part] * 2 / 3
        expected[best] = expected[best] / 3 + most[part][0] * 2 / 3
        torch.testing.assert_close(whole, expected)


def test_the_best_plans_are_tried_with_another_action_after_them() -> None:
    """Every plan kills but those of one action, and another one after it."""

    class Told(Counting):
        def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
            super()._try(plans, *where)
            first, last = plans.actions[:, 0], plans.actions.gather(1, plans.lengths.unsqueeze(1) - 1).squeeze(1)
            lives = (last == 5) & ((first == 2) | (len(plans) == 1))  # what is intended is tried alone, and begun
            return 1.0 - lives.float(), torch.zeros(len(plans))

    world = deadly_world()
    every = 2 * ACTIONS
    config = LookaheadConfig(9, lookahead_steps=1, lookahead_holds=(1, 4), lookahead_second=every)
    config = dataclasses.replace(config, lookahead_shortlist=4, lookahead_progress=None)
    agent = Told(world, who_prefers(world, 0), config)
    played = [agent.act(FRAME) for _ in range(8)]
    intended, plans = (1, 9), (2 + every, 1)
    assert agent.tried[:5] == [intended, plans, (every * (ACTIONS - 1), 1), (4, 2), (2, 6)]
    begun = played.index(5)
    assert played[:begun] == [2] * begun
    assert begun in {1, 4}
    assert played[begun : begun + 4] == [5] * 4
    assert agent.tried[5 : 5 + begun + 3] == [intended] * (begun + 3)
    agent = Told(world, who_prefers(world, 0), dataclasses.replace(config, lookahead_second=0, lookahead_again=1.0))
    agent.act(FRAME)
    assert agent.tried == [intended, plans, (4, 2), (2, 6)]


def test_where_every_plan_that_was_tried_on_pays_nothing_one_of_them_is_played() -> None:
    """What was tried least may look best by luck; it is not what is played."""

    class Lucky(LookaheadAgent):
        def _try(self, plans: Plans, *_: Any) -> tuple[Tensor, Tensor]:
            rewards = torch.arange(float(len(plans))) if len(plans) > 3 else torch.full((len(plans),), -1000.0)
            return torch.ones(len(plans)), rewards

    world = deadly_world()
    config = LookaheadConfig(lookahead=3, lookahead_shortlist=3, lookahead_holds=(1,))
    agent = Lucky(world, who_prefers(world, 0), config)
    own_and_all = torch.tensor([0, *range(ACTIONS)])
    *_, best = agent._compare(Plans.held(own_and_all, 1), torch.zeros(1, 1), 1, 3)
    assert best in {0, ACTIONS - 1, ACTIONS}


def test_where_what_it_found_may_kill_it_searches_again_in_more_dreams() -> None:
    """Few dreams find a plan that kills in one of ten, and many one that kills in fewer."""

    class Told(Counting):
        safest = 4

        def _try(self, plans: Plans, latents: Tensor, seed: int, dreams: int) -> tuple[Tensor, Tensor]:
            super()._try(plans, latents, seed, dreams)
            deaths = torch.full((len(plans),), 0.9)
            deaths[plans.actions[:, 0] == 2] = 0.1
            if dreams == 3 * self.config.lookahead:
                deaths[plans.actions[:, 0] == self.safest] = 0.08
            return deaths, torch.zeros(len(plans))

    world = deadly_world()
    config = LookaheadConfig(2, lookahead_steps=1, lookahead_holds=(1,), lookahead_shortlist=0, lookahead_progress=None)
    for asked, safest, played in ((0.05, 4, 4), (0.2, 4, 2), (0.05, DEADLY, DEADLY), (0.05, -1, 2)):
        asking = dataclasses.replace(config, lookahead_again=asked)
        agent = Told(world, who_prefers(world, 0), asking)
        agent.safest = safest
        assert agent.act(FRAME) == played
        again = [(2 + ACTIONS, 6)] if asked < 0.1 else []
        assert agent.tried == [(1, 2), (2 + ACTIONS, 2), *again]


def test_the_same_seed_plays_the_same() -> None:
    world = undecided_world(20.0)
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    config = LookaheadConfig(lookahead=1, lookahead_steps=8, lookahead_holds=(1,), lookahead_doubt=0.0)
    agent = LookaheadAgent(world, controller, config)
    runs = []
    for seed in (5, 6, 5):
        agent.reset(seed)
        runs.append([agent.act(FRAME) for _ in range(20)])
    assert runs[0] == runs[2] != runs[1]


def test_it_goes_on_with_its_plan_while_that_is_safe() -> None:
    """Every action kills but one, if it is held: to hold it is asked once, and kept up."""

    class Told(Counting):
        def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
            super()._try(plans, *where)
            safe = (plans.actions[:, 0] == 2) & (plans.lengths >= self.safe_for)
            return 1.0 - safe.float(), torch.zeros(len(plans))

    world = deadly_world()
    config = LookaheadConfig(
        1,
        lookahead_steps=1,
        lookahead_holds=(3,),
        lookahead_second=0,
        lookahead_shortlist=0,
        lookahead_progress=None,
    )
    agent = Told(world, who_prefers(world, 0), config)
    agent.safe_for = 1
    assert [agent.act(FRAME) for _ in range(4)] == [2, 2, 2, 2]
    asked, searched = (1, 1), (2 + ACTIONS, 1)
    assert agent.tried == [asked, searched, asked, asked, asked, searched]
    # A plan that is no longer safe is given up for one that is; a new episode begins with none.
    agent.tried, agent.safe_for = [], 2
    assert [agent.act(FRAME) for _ in range(3)] == [2, 2, 2]
    assert agent.tried == [asked, asked, searched, asked]
    agent.reset(seed=1)
    assert agent.chosen is None


def test_astray_it_plays_any_plan_to_its_end() -> None:
    world = deadly_world()
    config = LookaheadConfig(1, lookahead_steps=1, lookahead_holds=(3,), lookahead_progress=None, lookahead_still=0)
    agent = Counting(world, who_prefers(world, DEADLY), config, stray=1.0)
    played = []
    while len(played) < 200:
        agent.tried = []
        action = agent.act(FRAME)
        steps = int(agent.chosen.lengths) - 1
        assert agent.tried == [(1, 1)]  # what it intends, and nothing else
        assert steps in (0, 2)
        assert [agent.act(FRAME) for _ in range(steps)] == [action] * steps
        assert agent.tried == [(1, 1)]
        played.append(action)
    assert set(played) == set(range(ACTIONS))
    assert played.count(DEADLY) > max(played.count(action) for action in range(ACTIONS) if action != DEADLY)
    # Where what it intends is safe it does that.
    careful = Counting(world, who_prefers(world, 0), config, stray=1.0)
    assert {careful.act(FRAME) for _ in range(20)} == {0}


class Promised(Counting):
    """Is promised most for standing; one action kills."""

    def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
        super()._try(plans, *where)
        return (plans.actions == DEADLY).any(dim=1).float(), (plans.actions == 0).all(dim=1) * self.promise


def test_where_nothing_moves_it_plays_any_safe_plan_by_lot() -> None:
    world = deadly_world()
    with torch.no_grad():
        world.vae.encoder[-1].weight.mul_(100.0)
    for promise in (100.0, 10.0):  # enough to be content with, or not
        config = LookaheadConfig(4, lookahead_steps=1, lookahead_holds=(1, 3), lookahead_second=0, lookahead_still=5)
        agent = Promised(world, who_prefers(world, 0), config)
        agent.promise = promise
        assert [agent.act(FRAME) for _ in range(5)] == [0] * 5
        agent.tried, held = [], []
        while len(held) < 100:
            before, action = len(agent.tried), agent.act(FRAME)
            rest = int(agent.chosen.lengths) - 1
            assert (2 + 2 * ACTIONS, 1) in agent.tried[before:]
            before = len(agent.tried)
            assert [agent.act(FRAME) for _ in range(rest)] == [action] * rest
            assert agent.tried[before:] == [(1, 4)] * rest  # while it is safe it is played to its end
            held.append((action, 1 + rest))
        assert {action for action, _ in held} == set(range(ACTIONS)) - {DEADLY}
        assert {steps for _, steps in held} == {1, 3}
        # Something moves: it goes by what it is promised again.
        assert [agent.act(frame) for frame in (255 - FRAME, FRAME, FRAME)] == [0] * 3
        never = Promised(world, who_prefers(world, 0), dataclasses.replace(config, lookahead_still=0))
        never.promise = promise
        assert {never.act(FRAME) for _ in range(40)} == {0}


def test_what_was_drawn_by_lot_is_given_up_when_it_may_kill() -> None:
    """Held for a second step, everything kills but standing."""

    class Turns(Counting):
        def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
            super()._try(plans, *where)
            deadly = (plans.lengths == 2) & (plans.actions[:, 0] != 0)
            return deadly.float(), torch.zeros(len(plans))

    world = deadly_world()
    config = LookaheadConfig(4, lookahead_steps=1, lookahead_holds=(3,), lookahead_second=0, lookahead_still=1)
    agent = Turns(world, who_prefers(world, 0), config)
    left: dict[int, set[int]] = {action: set() for action in range(ACTIONS)}
    for _ in range(200):
        left[agent.act(FRAME)].add(int(agent.chosen.lengths) - 1)
    assert left == {0: {0, 1, 2}, **{action: {2} for action in range(1, ACTIONS)}}


def test_the_longer_it_waits_the_less_a_death_costs() -> None:
    """To go on pays 100 and kills one in five; to stand is safe and pays one, all else less."""

    class Waits(Counting):
        def _try(self, plans: Plans, *where: Any) -> tuple[Tensor, Tensor]:
            super()._try(plans, *where)
            goes_on = (plans.actions[:, 0] == 1).float()
            return 0.2 * goes_on, 100.0 * goes_on + (plans.actions[:, 0] == 0)

    world = deadly_world()
    with torch.no_grad():
        world.vae.encoder[-1].weight.mul_(100.0)
    config = LookaheadConfig(4, lookahead_steps=1, lookahead_holds=(1,), lookahead_second=0, lookahead_still=0)
    agent = Waits(world, who_prefers(world, 0), dataclasses.replace(config, lookahead_patience=5))
    # 1,200 and 600 a death are too much, 300 is not.
    assert [agent.act(FRAME) for _ in range(13)] == [0] * 10 + [1] * 3
    assert [agent.act(255 - FRAME) for _ in range(12)] == [0] * 10 + [1] * 2
    agent.reset(0)
    assert agent.act(255 - FRAME) == 0
    never = Waits(world, who_prefers(world, 0), dataclasses.replace(config, lookahead_patience=0))
    assert {never.act(FRAME) for _ in range(40)} == {0}


def test_half_astray_it_searches_for_the_other_half() -> None:
    world = deadly_world()
    config = LookaheadConfig(16, lookahead_steps=1, lookahead_holds=(1,), lookahead_shortlist=0)
    agent = Counting(world, who_prefers(world, DEADLY), config, stray=0.5)
    agent.tried = []
    played = [agent.act(FRAME) for _ in range(400)]
    searched = agent.tried.count((2 + ACTIONS, 16)) / 400
    assert searched == pytest.approx(0.5, abs=0.1)
    # Of the others a plan in so many is the deadly one, and what is intended and what C chooses are, too.
    assert played.count(DEADLY) / 400 == pytest.approx((1 - searched) * 3 / (2 + ACTIONS), abs=0.07)


@torch.no_grad()
def test_what_an_action_is_worth_is_what_dreams_that_begin_with_it_pay() -> None:
    """One whose every action is the one to be tried dreams the return that `dream_returns` has for it."""
    world = small_world()
    exact = LookaheadConfig(lookahead_precision="float32")
    config = dataclasses.replace(exact, lookahead=16, lookahead_steps=6, lookahead_death_cost=30.0)
    latents, memory = world.recall(world.starts)
    here, played = latents[9:10], world.starts.actions[9:10, -1]
    for action in range(ACTIONS):
        agent = LookaheadAgent(world, who_prefers(world, action), config)
        agent._belief = certain(memory, 9, int(played))
        deaths, rewards = agent._try(Plans.held(torch.arange(ACTIONS), 1), here, 4, 16)
        returns = rewards - config.lookahead_death_cost * deaths
        dream = Dream(world, DreamConfig(horizon=6), 1, 16, weighed=True)
        sixteen = here.expand(16, -1), memory.of(torch.full((16,), 9)), played.expand(16)
        dream.reset = lambda seed, _, dream=dream, at=sixteen: dream.reset_at(seed, *at)  # type: ignore[method-assign, misc]
        expected = dream_returns(dream, agent.controller, seed=4, death_cost=30.0).mean()
        torch.testing.assert_close(returns[action], expected, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_what_is_dreamt_in_bfloat16_is_nearly_the_same() -> None:
    world = small_world(ending_heads=2)
    latents, memory = world.recall(world.starts)
    found = {}
    for precision in get_args(Precision):
        config = LookaheadConfig(lookahead=64, lookahead_steps=6, lookahead_precision=precision)
        agent = LookaheadAgent(world, who_prefers(world, 0), config)
        agent._belief = certain(memory, 9, 3)
        found[precision] = torch.stack(agent._try(Plans.held(torch.arange(ACTIONS), 1), latents[9:10], 4, 64))
    exact, half = found["float32"], found["bfloat16"]
    assert not torch.equal(exact, half)
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.02)


@pytest.mark.usefixtures("rom")
def test_an_evaluation_says_that_its_agent_looked_ahead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate --pretrained --episodes 1 --max-steps 5 --lookahead 2 --lookahead-steps 4 --lookahead-doubt 0"
    assert cli.main([*command.split(), "--lookahead-holds", "1", "2", "--output", f"{tmp_path}/e.json"]) == 0
    assert "world model, looking ahead: mean score" in capsys.readouterr().out
    agent = json.loads((tmp_path / "e.json").read_text())["agent"]
    assert agent["name"] == "world model, as shipped, looking ahead in 2 dreams"


@pytest.mark.parametrize("command", ["evaluate --policy uniform", "collect --policy right"])
def test_who_has_no_dream_cannot_look_ahead(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--lookahead", "4", "--output", f"{tmp_path}/d"]) == 2
    assert "--lookahead: expected 0, or the controller of a world model" in capsys.readouterr().err

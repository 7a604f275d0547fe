from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model import cli
from mario_world_model.config import DreamConfig, LookaheadConfig
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.lookahead import LookaheadAgent
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.world_model import WorldModel
from tests.world import ACTIONS, small_world

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


def who_prefers(world: WorldModel, action: int) -> Controllers:
    bias = torch.zeros(1, ACTIONS)
    bias[0, action] = 50.0
    return Controllers(torch.zeros(1, ACTIONS, world.features), bias, bound=8.0)


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
    agent._memory = memory.of(torch.tensor([0]))
    death, _ = agent._try(torch.tensor([0, 0, DEADLY]), torch.tensor([1, 4, 1]), latents[:1], torch.tensor([0]), seed=1)
    held_for_one, held_for_all, deadly = death.tolist()
    assert held_for_one > 0.9
    assert held_for_all < 1e-3
    assert deadly > 0.9


def test_one_that_sees_no_danger_plays_what_its_controller_chooses() -> None:
    world = deadly_world()
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    plain = Agent(world, controller)
    bold = LookaheadAgent(world, controller, LookaheadConfig(lookahead=2, lookahead_steps=8, lookahead_doubt=1.0))
    played = [[agent.act(FRAME) for _ in range(40)] for agent in (plain, bold)]
    assert played[0] == played[1]
    assert len(set(played[0])) == ACTIONS


def test_one_that_gets_nowhere_tries_what_else_there_is() -> None:
    """Its own choice is safe, and the worst of all in every dream."""
    world = small_world()
    config = LookaheadConfig(lookahead=8, lookahead_steps=6, lookahead_holds=(6,), lookahead_doubt=1.0)
    agent = LookaheadAgent(world, who_prefers(world, 0), config)
    latents, memory = world.recall(world.starts)
    agent._memory = memory.of(torch.tensor([9]))
    every = torch.arange(ACTIONS)
    with torch.no_grad():
        _, rewards = agent._try(every, torch.full_like(every, 6), latents[9:10], torch.tensor([0]), seed=1)
    worst, least = int(rewards.argmin()), float(rewards.min())
    for asked, played in ((None, {worst}), (least - 1e3, {worst}), (least + 1e3, set(range(ACTIONS)) - {worst})):
        asking = dataclasses.replace(config, lookahead_progress=asked)
        agent = LookaheadAgent(world, who_prefers(world, worst), asking)
        agent.reset(seed=3)
        assert {agent.act(FRAME) for _ in range(3)} <= played


def test_the_same_seed_plays_the_same() -> None:
    world = undecided_world(20.0)
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    agent = LookaheadAgent(world, controller, LookaheadConfig(lookahead=1, lookahead_steps=8, lookahead_doubt=0.0))
    runs = []
    for seed in (5, 6, 5):
        agent.reset(seed)
        runs.append([agent.act(FRAME) for _ in range(20)])
    assert runs[0] == runs[2] != runs[1]


class Unwary(LookaheadAgent):
    """Asks about its controller's choice alone first, every time."""

    tried = 0

    def act(self, frame: NDArray[np.uint8]) -> int:
        self._wary = False
        return super().act(frame)

    def _try(self, actions: Tensor, *where: Any) -> tuple[Tensor, Tensor]:
        self.tried += len(actions) > 1
        return super()._try(actions, *where)


def test_who_does_not_ask_first_after_danger_plays_the_same() -> None:
    world = undecided_world(4.0)
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    config = LookaheadConfig(lookahead=2, lookahead_steps=2, lookahead_doubt=0.75)
    wary, unwary = LookaheadAgent(world, controller, config), Unwary(world, controller, config)
    changing = np.random.default_rng(0).integers(0, 255, (30, 64, 64, 3), np.uint8)
    assert [wary.act(frame) for frame in changing] == [unwary.act(frame) for frame in changing]
    assert 5 < unwary.tried < 25


@torch.no_grad()
def test_what_an_action_is_worth_is_what_dreams_that_begin_with_it_pay() -> None:
    """One whose every action is the one to be tried dreams the return that `dream_returns` has for it."""
    world = small_world()
    config = LookaheadConfig(lookahead=16, lookahead_steps=6, lookahead_death_cost=30.0)
    latents, memory = world.recall(world.starts)
    here, played = latents[9:10], world.starts.actions[9:10, -1]
    for action in range(ACTIONS):
        agent = LookaheadAgent(world, who_prefers(world, action), config)
        agent._memory = memory.of(torch.tensor([9]))
        actions = torch.arange(ACTIONS)
        deaths, rewards = agent._try(actions, torch.ones_like(actions), here, played, seed=4)
        returns = rewards - config.lookahead_death_cost * deaths
        dream = Dream(world, DreamConfig(horizon=6), 1, 16, weighed=True)
        dream.reset = lambda seed, dream=dream: dream.reset_at(seed, here, memory.of(torch.tensor([9])), played)  # type: ignore[method-assign, misc]
        expected = dream_returns(dream, agent.controller, seed=4, death_cost=30.0).mean()
        torch.testing.assert_close(returns[action], expected, rtol=1e-4, atol=1e-3)


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

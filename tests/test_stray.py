from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_world_model import cli
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.stray import StrayingAgent
from tests.world import ACTIONS, save_world, small_world, who_prefers

FRAME = np.zeros((64, 64, 3), np.uint8)


def test_it_holds_any_action_for_some_steps_at_times() -> None:
    world = small_world()
    agent = StrayingAgent(world, who_prefers(world, 0), (2, 5), 0.1)
    begun: list[tuple[int, int]] = []
    for _ in range(3000):
        held = agent._left
        action = agent.act(FRAME)
        if not held and agent._left:
            begun.append((action, 1 + agent._left))
        elif held:
            assert action == begun[-1][0]
        else:
            assert action == 0
    assert set(begun) == set(itertools.product(range(ACTIONS), (2, 5)))
    # In a step that is its own it begins with one of ten; what is held takes 3.5 steps in the mean.
    assert len(begun) / (3000 - sum(steps - 1 for _, steps in begun)) == pytest.approx(0.1, abs=0.025)
    agent.reset(seed=4)
    assert agent._left == 0


def test_the_controllers_own_choices_are_those_of_one_that_does_not_stray() -> None:
    world = small_world()
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    agents = [Agent(world, controller), StrayingAgent(world, controller, (1,), 0.0)]
    played = [[agent.act(FRAME) for _ in range(40)] for agent in agents]
    assert played[0] == played[1]
    assert len(set(played[0])) > 1


@pytest.mark.parametrize("policy", ["right", "explore"])
def test_without_a_controller_nobody_goes_astray(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["collect", "--policy", policy, "--stray", "0.3", "--output", f"{tmp_path}/d"]) == 2
    expected = f"--stray: expected 0, or the controller of a world model, found 0.3 for {policy}"
    assert expected in capsys.readouterr().err
    assert cli.main(["collect", "--stray", "1.5", "--output", f"{tmp_path}/d"]) == 2
    assert "stray: expected a probability, found 1.5" in capsys.readouterr().err
    for flag in ("--round-stray", "--round-stray-alone"):
        assert cli.main(["run", "--preset", "debug", flag, "-1", "--output", f"{tmp_path}/r"]) == 2
        assert f"{flag[2:].replace('-', '_')}: expected a probability, found -1.0" in capsys.readouterr().err


@pytest.mark.usefixtures("rom")
def test_a_controller_goes_astray_without_a_dream(tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    parts = ["--policy", f"{tmp_path}/c.pt", "--vae", f"{tmp_path}/v.pt", "--mdnrnn", f"{tmp_path}/m.pt"]
    for stray in ("0", "1"):
        command = ["collect", *parts, "--episodes", "2", "--max-steps", "30", "--stray", stray]
        assert cli.main([*command, "--lookahead-holds", "6", "--output", f"{tmp_path}/{stray}"]) == 0
    plain, astray = (open_dataset(tmp_path / stray).episodes for stray in ("0", "1"))
    assert [episode.info.policy for episode in (*plain, *astray)] == [
        *["world model"] * 2,
        *["world model, astray at times"] * 2,
    ]

    def changes(episodes: Sequence[Episode]) -> int:
        return sum(int(np.count_nonzero(np.diff(episode.actions))) for episode in episodes)

    assert 0 < changes(astray) < changes(plain)

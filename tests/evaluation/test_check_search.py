from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import torch

from mario_world_model import cli
from mario_world_model.config import CheckSearchConfig, GameConfig, LookaheadConfig
from mario_world_model.errors import InputError
from mario_world_model.evaluation.check_search import (
    Asked,
    Outcome,
    _asked_from_plain,
    _choice_of,
    _PlanThenController,
    _settings,
    check_search,
    in_bands,
)
from mario_world_model.evaluation.episodes import with_rom
from mario_world_model.evaluation.unfinished import Unfinished, partial_file
from mario_world_model.models.agent import Agent
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.plans import Plans
from mario_world_model.policies.choice import controls_of
from tests.test_lookahead import FRAME
from tests.world import save_world, small_world, who_prefers


def test_outcomes_are_averaged_by_what_the_dream_says() -> None:
    outcomes = [Outcome(0, 0.0, 0.5), Outcome(0, 0.005, 0.0), Outcome(0, 0.01, 0.0), Outcome(0, 1.0, 1.0)]
    first, second, last, everything = in_bands(outcomes)
    assert (first.first, first.last, first.situations) == (0.0, 0.01, 2)
    assert (first.dreamt, first.real) == (pytest.approx(0.0025), pytest.approx(0.25))
    # The gaps are 0.5 and −0.005: a deviation of 0.505 / √2, over √2 of them.
    assert first.error == pytest.approx(0.505 / 2)
    assert (second.first, second.situations, second.real) == (0.01, 1, 0.0)
    assert second.error is None
    assert (last.first, last.last, last.situations) == (0.2, 1.0, 1)
    assert (everything.first, everything.last, everything.situations) == (0.0, 1.0, 4)
    assert everything.real == pytest.approx(0.375)


def test_a_plan_is_played_before_the_controller_has_its_way() -> None:
    world = small_world()
    before = Agent(world, who_prefers(world, 1))
    for _ in range(4):
        before.act(FRAME)
    agent = _PlanThenController(world, who_prefers(world, 5), before, Plans.held(torch.tensor([2]), 3))
    for seed in range(2):  # every try anew
        agent.reset(seed)
        assert agent._belief is before._belief
        assert [agent.act(FRAME) for _ in range(6)] == [2, 2, 2, 5, 5, 5]


@pytest.mark.usefixtures("rom")
def test_plans_of_a_search_are_dreamt_and_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.weight.zero_()
        world.mdn_rnn.step_head.bias[1 + DEATH] = -2.0
        world.mdn_rnn.step_head.bias[1 + FLAG] = -20.0
    save_world(tmp_path, world)
    command = (
        f"check-search --vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --controller {tmp_path}/c.pt --workers 1 "
        f"--output {tmp_path}/s.json --episodes 3 --tries 2 --lookahead 2 --lookahead-steps 5 --lookahead-second 0"
    )
    assert cli.main(command.split()) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "s.json").read_text())
    assert 1 <= len(found["outcomes"]) <= 3
    for one in found["outcomes"]:
        # Of five steps one in nine ends in death, whatever is done and seen.
        assert one["dreamt"] == pytest.approx(1.0 - (1.0 - 1.0 / (1.0 + math.exp(2.0))) ** 5, abs=0.02)
        assert one["real"] in (0.0, 0.5, 1.0)
    everything = found["bands"][-1]
    assert everything["situations"] == len(found["outcomes"])
    assert f"{len(found['outcomes'])} plans that a search chose in 3 episodes, each played 2 times" in said
    assert f"{everything['dreamt']:5.1%} | {everything['real']:5.1%}" in said
    # The same seeds, the same outcomes; of more episodes than are asked for, all stay for a later command.
    command = command.replace("s.json", "t.json").replace("--episodes 3", "--episodes 2")
    assert cli.main(command.split()) == 0
    two = json.loads((tmp_path / "t.json").read_text())["outcomes"]
    assert two == found["outcomes"][: len(two)]
    assert not (tmp_path / "t.json.partial").exists()


@pytest.mark.usefixtures("rom")
def test_a_check_that_was_broken_off_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_world(tmp_path, small_world())
    agent = {"vae": tmp_path / "v.pt", "mdnrnn": tmp_path / "m.pt", "controller": tmp_path / "c.pt"}
    lookahead = LookaheadConfig(2, lookahead_steps=2, lookahead_second=0)
    config = CheckSearchConfig(**agent, lookahead=lookahead, episodes=2, tries=1, output=tmp_path / "s.json", workers=1)
    choice = _choice_of(config)
    known = Asked(0, Outcome(123, 0.25, 0.5))
    game = with_rom(config.game.with_controls(*controls_of(choice, GameConfig())))
    Unfinished(config.output, _settings(config, choice, game), True, _asked_from_plain).add(known)
    with pytest.raises(InputError, match="found one with another tries"):
        check_search(dataclasses.replace(config, tries=2))
    assert check_search(config)[0] == known.outcome
    assert "1 episodes are there already" in capsys.readouterr().err
    assert not partial_file(config.output).exists()
    assert check_search(dataclasses.replace(config, resume=False))[0] != known.outcome


@pytest.mark.usefixtures("rom")
def test_who_is_never_in_danger_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_world(tmp_path, small_world())
    command = (
        f"check-search --vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --controller {tmp_path}/c.pt --workers 1 "
        f"--output {tmp_path}/s.json --episodes 1 --lookahead 1 --lookahead-steps 1 --lookahead-doubt 1"
    )
    assert cli.main(command.split()) == 2
    assert "expected episodes in which the agent is in danger, found none" in capsys.readouterr().err
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", "expected one agent: .* found 0 of the three files and no --pretrained"),
        ("--pretrained --vae v.pt", "expected one agent: .* found 1 of the three files beside --pretrained"),
        ("--vae v.pt --mdnrnn m.pt", "expected one agent: .* found 2 of the three files and no --pretrained"),
        ("--pretrained --tries 0", "tries: expected at least 1, found 0"),
        ("--pretrained --lookahead 0", "lookahead: expected at least 1 dream to search in"),
    ],
)
def test_one_agent_is_checked(flags: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-search", *flags.split()]) == 2
    assert re.search(said, capsys.readouterr().err)

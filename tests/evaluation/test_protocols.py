"""Protocols, the agents that can be put under them, and the records they leave."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import DQN

from mario_world_model import cli
from mario_world_model.config import (
    TEST_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    CheckSearchConfig,
    CollectConfig,
    EvaluateConfig,
    GameConfig,
    PPOConfig,
    ProbeConfig,
    RunConfig,
    TrainMDNRNNConfig,
    ViewConfig,
)
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.evaluation.places import PLACES, place
from mario_world_model.evaluation.protocols import PROTOCOLS
from mario_world_model.evaluation.record import read_record
from mario_world_model.models.world_model import Controls
from mario_world_model.policies.stable_baselines import load_archive
from mario_world_model.training.pipeline import EVALUATION_SEEDS
from mario_world_model.utils.environment import MarioEnv, make_env

MINE = """
def right(screen):
    assert screen.shape == (224, 240, 3)
    return 1

def wrong(screen):
    return 99

class Jumper:
    actions, frame_skip = "RIGHT_ONLY", 8
    def reset(self, rng):
        self.luck = rng
    def act(self, screen):
        return int(self.luck.integers(5))
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_ranges_of_seeds_do_not_overlap_and_are_kept_to() -> None:
    ranges = [set(one) for one in (TRAINING_SEEDS, VALIDATION_SEEDS, TEST_SEEDS)]
    assert len(set.union(*ranges)) == sum(map(len, ranges))
    for stage in (CollectConfig, TrainMDNRNNConfig, PPOConfig, RunConfig):
        with pytest.raises(InputError, match="training seed"):
            stage(seed=TEST_SEEDS.start)
    assert EvaluateConfig().seed in TEST_SEEDS
    assert RunConfig().seed + EVALUATION_SEEDS in TEST_SEEDS
    assert ProbeConfig().seed in VALIDATION_SEEDS
    assert CheckSearchConfig().seed in VALIDATION_SEEDS


@pytest.mark.usefixtures("rom", "there")
def test_a_protocol_sets_the_conditions_and_takes_test_seeds_alone(capsys: pytest.CaptureFixture[str]) -> None:
    line = "evaluate --policy right --episodes 1 --max-steps 5 --workers 1 --output r.json"
    for name, protocol in PROTOCOLS.items():
        assert cli.main([*line.split(), "--protocol", name]) == 0
        record = read_record(Path("r.json"), json.loads(Path("r.json").read_text()))
        assert (record.protocol, record.game.sticky, record.game.noops) == (name, protocol.sticky, protocol.noops)
    capsys.readouterr()
    assert cli.main([*line.split(), "--protocol", "sticky", "--seed", "7"]) == 2
    assert "expected a test seed, 1000000 to 1999999, found 7" in capsys.readouterr().err
    assert cli.main([*line.split(), "--protocol", "start-states", "--env", "SuperMarioBros-2-1-v0"]) == 2
    assert "expected 1-1" in capsys.readouterr().err


@pytest.mark.usefixtures("rom")
def test_places_are_spread_over_the_level_and_mario_lives_in_them() -> None:
    game = GameConfig()
    states = [place(game, index) for index in range(PLACES)]
    env = make_env(game)
    console = env.unwrapped
    assert isinstance(console, MarioEnv)
    env.reset(seed=1)
    found = []
    for state in states:
        console.load_state(state)
        truth = dict(zip(TRUTH_FIELDS, console.truth().tolist(), strict=True))
        assert truth["alive"]
        assert not truth["flag"]
        found.append(truth["x"])
        _, _, terminated, _, _ = env.step(0)
        assert not terminated
    env.close()
    assert found[0] < 60
    assert found[-1] > 2800
    assert np.all(np.diff(found) > 100)


@pytest.mark.usefixtures("rom", "there")
def test_your_own_code_plays(capsys: pytest.CaptureFixture[str]) -> None:
    line = "evaluate --protocol sticky --episodes 1 --max-steps 20 --workers 1 --output r.json --policy"
    assert cli.main([*line.split(), "mine:right"]) == 0
    assert capsys.readouterr().out.startswith("mine:right: mean score")
    assert cli.main([*line.split(), "mine:Jumper"]) == 0
    record = read_record(Path("r.json"), json.loads(Path("r.json").read_text()))
    assert (record.game.actions, record.game.frame_skip) == ("RIGHT_ONLY", 8)
    assert record.episodes[0].visited[0] == 2  # Mario starts at x = 40
    for name, complaint in (
        ("mine:wrong", "expected an action from 0 to 6, found 99"),
        ("mine:nothing", "expected module:function, found none"),
        ("nowhere:right", "expected module:function, found none"),
        ("mine:MINE", "expected module:function"),
        ("explore", "found explore, which is a way to collect"),
        ("left", "expected uniform, biased, right"),
    ):
        capsys.readouterr()
        assert cli.main([*line.split(), name]) == 2
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1


def _dqn(path: Path, size: int, channels: int, actions: int) -> None:
    class Pictures(gymnasium.Env[np.ndarray, int]):
        observation_space = gymnasium.spaces.Box(0, 255, (channels, size, size), np.uint8)
        action_space = gymnasium.spaces.Discrete(actions)

    DQN("CnnPolicy", Pictures(), buffer_size=1, seed=0).save(path)


@pytest.mark.usefixtures("rom")
def test_any_agent_of_stable_baselines_plays_once_it_is_trusted(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _dqn(there / "dqn.zip", 64, 4, 7)
    assert load_archive(there / "dqn.zip", trust=True)[1] == Controls(
        "SIMPLE_MOVEMENT", 4, ViewConfig(size=64, grey=True, stack=4)
    )
    line = "evaluate --protocol sticky --episodes 1 --max-steps 20 --workers 1 --policy dqn.zip --output r.json"
    assert cli.main(line.split()) == 2
    assert "expected --trust" in capsys.readouterr().err
    assert cli.main([*line.split(), "--trust"]) == 0
    first = (there / "r.json").read_text().split('"episodes": [')[1]
    assert cli.main([*line.split(), "--trust"]) == 0
    assert (there / "r.json").read_text().split('"episodes": [')[1] == first
    _dqn(there / "dqn.zip", 64, 4, 3)
    assert cli.main([*line.split(), "--trust"]) == 2
    assert "chooses among 5, 7, 12 actions" in capsys.readouterr().err


def test_a_record_that_is_none_costs_one_line() -> None:
    for plain in ({}, {"schema": 9}, {"schema": 1, "episodes": [{"index": 0}]}, {"schema": 1, "episodes": 3}):
        with pytest.raises(InputError, match=r"r\.json: expected"):
            read_record(Path("r.json"), plain)

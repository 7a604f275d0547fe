"""A session without a page: what it keeps, how it goes back, and what it gives to training."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_world_model import cli
from mario_world_model.config import ConsoleConfig
from mario_world_model.emulation.actions import LEFT, RIGHT, A, B, action_names
from mario_world_model.errors import InputError
from mario_world_model.models.controller import Controllers
from mario_world_model.playground.players import Players, nearest_action
from mario_world_model.playground.session import STEPS_BACK, Session
from mario_world_model.playground.starts import Starts
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from tests.world import ACTIONS, small_world

WORLD = small_world()


def make_session(dataset: Dataset | None = None) -> Session:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(1, ACTIONS, WORLD.features, generator=generator)
    controller = Controllers(weight, torch.zeros(1, ACTIONS), bound=1.0)
    return Session(WORLD, Players(WORLD, controller, None), Starts(WORLD, ConsoleConfig(), dataset))


@pytest.fixture
def session(rom: Path) -> Iterator[Session]:
    del rom
    made = make_session()
    yield made
    if made.reality is not None:
        made.reality.close()


def everything(session: Session) -> tuple[object, ...]:
    shown = session.show()
    screen = shown.screens[-1].tobytes() if shown.screens else b""
    return shown.step, shown.point, shown.dream.tobytes(), shown.latents.tobytes(), screen


def test_going_back_is_exact_and_the_same_luck_repeats(session: Session) -> None:
    session.begin("1-1", 5, 1.0, "random")
    seen = []
    for _ in range(30):
        session.step(0)
        seen.append(everything(session))
    for step in (10, 30, 1):
        session.go_back(step)
        assert everything(session) == seen[step - 1]
    for step in range(1, 30):
        session.step(0)
        assert everything(session) == seen[step]
    assert session.demonstration is not None
    assert len(session.demonstration.actions) == 30


def test_ten_seconds_are_kept_and_no_more(session: Session) -> None:
    session.begin("situation:9", 5, 0.5, "dreamer")
    for _ in range(STEPS_BACK + 20):
        session.step(0)
    shown = session.show()
    assert shown.newest - shown.oldest <= STEPS_BACK
    session.go_back(0)
    assert session.show().step == session.show().oldest


def test_two_sessions_of_one_seed_dream_the_same_and_another_seed_does_not(session: Session) -> None:
    ends = []
    for seed in (5, 5, 6):
        session.begin("1-1@400", seed, 1.0, "controller")
        for _ in range(10):
            session.step(0)
        ends.append(everything(session))
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


def test_sync_takes_latent_and_memory_of_the_game(session: Session) -> None:
    session.begin("1-1", 5, 1.0, "you")
    for _ in range(5):
        session.step(RIGHT)
    assert session.show().point.drift != 0.0
    session.sync()
    assert session.show().point.drift == 0.0
    reconstruction = session.show().reconstruction
    assert reconstruction is not None
    np.testing.assert_array_equal(session.show().dream, reconstruction)
    session.begin("situation:3", 5, 1.0, "you")
    with pytest.raises(InputError, match="expected a real game beside the dream"):
        session.sync()


def test_a_place_in_the_level_is_reached(session: Session) -> None:
    session.begin("1-1@900", 1, 1.0, "you")
    assert session.demonstration is not None
    assert 900 <= session.demonstration.begun.x < 920
    assert not session.demonstration.level


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("9-9", "expected 1-1, 1-1@1200"),
        ("2-1@500", "a place in 1-1"),
        ("situation:32", "expected a situation below 32"),
        ("data:0:1", "expected --dataset"),
    ],
)
def test_there_is_no_such_start(session: Session, start: str, says: str) -> None:
    session.begin("1-1", 1, 1.0, "you")
    with pytest.raises(InputError, match=says):
        session.begin(start, 1, 1.0, "you")
    session.step(0)
    assert session.show().step == 1


def test_buttons_become_the_nearest_action() -> None:
    names = action_names("SIMPLE_MOVEMENT")
    for buttons, name in (
        (RIGHT | A | B, "right + A + B"),
        (LEFT | A, "left"),
        (A | B, "A"),
        (B, "noop"),
        (0xFF, "right + A + B"),
    ):
        assert names[nearest_action("SIMPLE_MOVEMENT", buttons)] == name


def test_what_was_played_can_be_trained_on(session: Session, tmp_path: Path) -> None:
    folder, keeping = tmp_path / "kept", multiprocessing.get_context("spawn").Lock()
    for buttons in (RIGHT, RIGHT | A):
        session.begin("1-1", 5, 1.0, "you")
        for _ in range(20):
            session.step(buttons)
        assert session.demonstration is not None
        assert session.reality is not None
        parts = (WORLD.controls, session.reality.env_id, session.reality.backend, "0" * 40)
        file, steps = session.demonstration.keep(folder, keeping, *parts)
        session.step(buttons)
        assert session.demonstration.keep(folder, keeping, *parts) == (file, steps + 1)
    dataset = open_dataset(folder)
    assert [len(episode) for episode in dataset.episodes] == [21, 21]
    assert {episode.info.policy for episode in dataset.episodes} == {"human"}
    frames = f"--preset debug --logs {tmp_path}/logs --dataset {folder}"
    assert cli.main(f"train-vae {frames} --output {tmp_path}/v.pt".split()) == 0
    assert cli.main(f"train-mdn-rnn {frames} --vae {tmp_path}/v.pt --output {tmp_path}/m.pt".split()) == 0
    assert cli.main(f"collect --policy uniform --episodes 1 --max-steps 8 --append --output {folder}".split()) == 0
    # A frame of it is a place to begin, in the game too.
    again = make_session(open_dataset(folder))
    again.begin("data:1:12", 1, 1.0, "you")
    assert again.note == ""
    assert again.real_frame is not None
    np.testing.assert_array_equal(again.real_frame, dataset.episodes[1].frames[12:13][0])


def test_an_episode_from_the_middle_of_a_level_begins_the_dream_alone(rom: Path, tmp_path: Path) -> None:
    del rom
    command = f"collect --policy explore --episodes 40 --max-steps 12 --seed 3 --output {tmp_path}/d"
    assert cli.main(command.split()) == 0
    dataset = open_dataset(tmp_path / "d")
    number = next(n for n, episode in enumerate(dataset.episodes) if episode.info.start == "archive")
    session = make_session(dataset)
    session.begin(f"data:{number}:3", 1, 1.0, "you")
    assert "the dream begins alone" in session.note
    assert session.show().screens == []
    session.step(0)
    level = next(n for n, episode in enumerate(dataset.episodes) if episode.info.start == "level")
    session.begin(f"data:{level}:8", 1, 1.0, "you")
    assert session.note == ""
    assert session.reality is not None

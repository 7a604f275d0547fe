from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from mario_world_model.errors import InputError
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.episode_file import read_episode, write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from tests.rollouts.episodes import made_up_episode, with_info


def same(one: Episode, other: Episode) -> bool:
    arrays, others = one.arrays(), other.arrays()
    return one.info == other.info and all(np.array_equal(arrays[name], others[name]) for name in arrays)


def write_folder(folder: Path, episodes: list[Episode]) -> None:
    folder.mkdir()
    for episode in episodes:
        write_episode(folder / f"episode-{episode.info.index:06d}.safetensors", episode)


@pytest.fixture
def episodes() -> list[Episode]:
    return [made_up_episode(index, steps=4 + index) for index in range(3)]


def test_both_forms_give_back_what_was_written(tmp_path: Path, episodes: list[Episode]) -> None:
    write_pickle(tmp_path / "d.pkl", episodes)
    write_folder(tmp_path / "d", episodes)
    pickled, stored = open_dataset(tmp_path / "d.pkl"), open_dataset(tmp_path / "d")
    for index, episode in enumerate(episodes):
        assert same(pickled.episodes[index], episode)
        assert same(stored.episodes[index], episode)
    assert pickled.fingerprint == stored.fingerprint
    assert pickled.steps == 4 + 5 + 6


def test_a_stored_episode_reads_slices_like_an_array(tmp_path: Path) -> None:
    episode = made_up_episode(steps=9)
    write_episode(tmp_path / "e.safetensors", episode)
    lazy, array = read_episode(tmp_path / "e.safetensors").frames, episode.frames[:]
    for cut in (slice(0, 3), slice(7, 99), slice(-2, None), slice(4, 4)):
        assert np.array_equal(lazy[cut], array[cut])
    assert len(lazy) == 10


def test_the_pickle_is_plain_to_pickle_itself(tmp_path: Path, episodes: list[Episode]) -> None:
    write_pickle(tmp_path / "d.pkl", iter(episodes))
    content = pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert type(content["episodes"]) is list
    assert np.array_equal(content["episodes"][2]["frames"], episodes[2].frames[:])


class _Payload:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._target}",)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    evil = {"kind": "mario-rollouts", "schema": 1, "episodes": [_Payload(tmp_path / "ran")]}
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(evil))
    with pytest.raises(InputError, match=r"(posix|nt)\.system' is not admitted"):
        open_dataset(tmp_path / "d.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0, 10, 1000, -1])
def test_a_cut_file_is_refused_in_one_line(tmp_path: Path, episodes: list[Episode], cut: int) -> None:
    write_pickle(tmp_path / "d.pkl", episodes)
    write_folder(tmp_path / "d", episodes)
    victim = sorted((tmp_path / "d").iterdir())[1]
    for path in (tmp_path / "d.pkl", victim):
        path.write_bytes(path.read_bytes()[:cut])
    for path, named in ((tmp_path / "d.pkl", "d.pkl"), (tmp_path / "d", victim.name)):
        with pytest.raises(InputError, match="expected") as caught:
            open_dataset(path)
        assert "\n" not in str(caught.value)
        assert named in str(caught.value)


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    episode = made_up_episode()
    broken = Episode(episode.frames[:-1], episode.actions, episode.rewards, episode.truth, episode.info)
    write_pickle(tmp_path / "d.pkl", [broken])
    with pytest.raises(InputError, match=r"episode 0: frames: expected uint8 \(7, 64, 64, 3\), found uint8 \(6,"):
        open_dataset(tmp_path / "d.pkl")


def test_unlike_episodes_are_no_data_set(tmp_path: Path) -> None:
    write_pickle(tmp_path / "d.pkl", [made_up_episode(0), with_info(made_up_episode(1), frame_skip=2)])
    with pytest.raises(
        InputError, match="expected one frame_skip in a data set, found 4 in episode 0 and 2 in episode 1"
    ):
        open_dataset(tmp_path / "d.pkl")


def test_nothing_there_and_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no such file or folder"):
        open_dataset(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found no episodes"):
        open_dataset(tmp_path / "empty")


def test_endings_come_from_the_truth() -> None:
    assert made_up_episode(terminated=True).died
    assert made_up_episode(terminated=True, flag=True).reached_flag
    assert not made_up_episode(terminated=True, flag=True).died
    assert not made_up_episode(terminated=False).died


def test_the_split_holds_out_and_stays_when_data_grow(tmp_path: Path) -> None:
    episodes = [made_up_episode(index, steps=1) for index in range(60)]
    fewer, more = Dataset(tmp_path, episodes[:40]), Dataset(tmp_path, episodes)
    train, held_out = more.split()
    assert sorted(train + held_out) == list(range(60))
    assert 1 <= len(held_out) <= 15
    assert fewer.split()[1] == [index for index in held_out if index < 40]
    assert Dataset(tmp_path, episodes[:2]).split() == ([0], [1])
    with pytest.raises(InputError, match="expected at least 2 episodes"):
        Dataset(tmp_path, episodes[:1]).split()


@pytest.mark.parametrize("form", ["d", "d.pkl"])
def test_a_damaged_episode_is_named_and_left_out_on_request(
    tmp_path: Path, episodes: list[Episode], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    write_folder(tmp_path / "d", episodes)
    write_pickle(tmp_path / "d.pkl", episodes)
    victim = sorted((tmp_path / "d").iterdir())[1] if form == "d" else tmp_path / form
    content = bytearray(victim.read_bytes())
    place = content.find(episodes[1].frames[2:3].tobytes())
    content[place + 99] ^= 1  # one bit of one pixel
    victim.write_bytes(content)
    named = victim.name if form == "d" else "d.pkl, episode 1"
    with pytest.raises(InputError, match=f"{named}: expected content with SHA-256 .*; --skip-damaged leaves it out"):
        open_dataset(tmp_path / form)
    kept = open_dataset(tmp_path / form, skip_damaged=True)
    assert [episode.info.index for episode in kept.episodes] == [0, 2]
    assert f"{named}: expected content" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_pickle_that_was_written_again_is_read(tmp_path: Path, episodes: list[Episode], protocol: int) -> None:
    write_pickle(tmp_path / "d.pkl", episodes)
    content = pickle.loads((tmp_path / "d.pkl").read_bytes())
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(content, protocol))
    assert same(open_dataset(tmp_path / "d.pkl").episodes[1], episodes[1])


def test_what_an_episode_says_of_itself_is_checked(tmp_path: Path) -> None:
    for changes, says in (
        ({"frame_skip": "4"}, "frame_skip: expected int, found '4'"),
        ({"frame_skip": 0}, "frame_skip: expected one of range"),
        ({"actions": "ANY"}, "actions: expected one of"),
        ({"sticky": None}, "sticky: expected float, found None"),
        ({"truth_fields": ("x",)}, "truth_fields: expected one of"),
        ({"schema": 0}, "expected episode schema 1, found 0"),
        ({"policy": "\x1b]0;mine\x07"}, "policy: expected a short text"),  # sets the title of a terminal
        ({"env": "x" * 2000}, "env: expected a short text"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"index": 10**20}, "index: expected 0 to"),
        ({"noops": 10**9}, "noops: expected 0 to 600"),  # the page would play them all
        ({"sticky": float("nan")}, "sticky: expected 0 to 1"),
    ):
        write_pickle(tmp_path / "d.pkl", [with_info(made_up_episode(), **changes)])
        with pytest.raises(InputError, match=says):
            open_dataset(tmp_path / "d.pkl")


def test_actions_without_a_dimension_are_refused(tmp_path: Path) -> None:
    episode = made_up_episode(steps=1)
    broken = Episode(episode.frames, episode.actions.reshape(()), episode.rewards, episode.truth, episode.info)
    write_pickle(tmp_path / "d.pkl", [broken])
    with pytest.raises(InputError, match=r"actions: expected uint8 \(1,\), found uint8 \(\)"):
        open_dataset(tmp_path / "d.pkl")

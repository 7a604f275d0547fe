from __future__ import annotations

import contextlib
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from mario_world_model.config import ActionSet, CollectConfig, GameConfig
from mario_world_model.emulation.actions import LEFT, NOOP, RIGHT, A, B, action_buttons
from mario_world_model.errors import InputError
from mario_world_model.policies.reference import WaitingPolicy
from mario_world_model.rollouts.archive import Archive
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training import data_collection
from mario_world_model.training.data_collection import collect
from mario_world_model.training.gathering import note_of
from mario_world_model.utils.environment import make_env
from mario_world_model.utils.preprocessing import preprocess

pytestmark = pytest.mark.usefixtures("rom")


def small(output: Path, **changes: object) -> CollectConfig:
    return dataclasses.replace(
        CollectConfig(policy="biased", episodes=3, max_steps=25, output=output, workers=2), **changes
    )


def test_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    collect(small(tmp_path / "one", workers=1))
    collect(small(tmp_path / "two", workers=2))
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    collect(small(tmp_path / "three.pkl"))
    assert open_dataset(tmp_path / "three.pkl").fingerprint == open_dataset(tmp_path / "one").fingerprint


def test_episodes_replay_from_their_actions(tmp_path: Path) -> None:
    """Frames, rewards and truth are those of the game: playing the recorded actions again gives them again."""
    config = small(tmp_path / "d", game=GameConfig(sticky=0.5, noops=0), episodes=1)
    episode = open_dataset(collect(config)).episodes[0]
    env = make_env(GameConfig(sticky=0.0, noops=0))
    screen, _ = env.reset()
    for step, action in enumerate(episode.actions):
        assert np.array_equal(preprocess(screen, config.screen.view()), episode.frames[step : step + 1][0])
        screen, reward, terminated, _, info = env.step(int(action))
        assert reward == episode.rewards[step]
        assert info["x_pos"] == episode.column("x")[step + 1]
    assert terminated == episode.info.terminated
    env.close()


def test_a_folder_of_somebody_s_own_is_not_taken_for_leftovers(tmp_path: Path) -> None:
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"expected an interrupted collection, found thesis\.tex"):
        collect(small(tmp_path / "d"))
    assert (tmp_path / "d.partial" / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_collection_goes_on(tmp_path: Path) -> None:
    whole = open_dataset(collect(small(tmp_path / "whole")))
    collect(small(tmp_path / "d", episodes=3))
    # As if the power had gone after the second episode: two files wait, the data set is not there.
    partial = tmp_path / "d.partial"
    partial.mkdir()
    (tmp_path / "d").rename(partial / "episodes")
    (partial / "episodes" / "episode-000002.safetensors").unlink()
    kept = (partial / "episodes" / "episode-000000.safetensors").stat().st_mtime_ns
    (partial / "collection.json").write_text(note_of(small(tmp_path / "d"), first=0))
    dataset = open_dataset(collect(small(tmp_path / "d")))
    assert dataset.fingerprint == whole.fingerprint
    assert (tmp_path / "d" / "episode-000000.safetensors").stat().st_mtime_ns == kept
    assert not partial.exists()


def test_the_rest_of_another_collection_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "collection.json").write_text(note_of(small(tmp_path / "d", seed=9), first=0))
    with pytest.raises(InputError, match="found one with another seed"):
        collect(small(tmp_path / "d"))


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("everything I have")
    with pytest.raises(InputError, match=r"found thesis\.tex in it"):
        collect(small(tmp_path))
    assert (tmp_path / "thesis.tex").exists()


def test_exploring_episodes_begin_where_others_have_been(tmp_path: Path) -> None:
    explore = {"policy": "explore", "episodes": 70, "max_steps": 12}
    whole = open_dataset(collect(small(tmp_path / "two", workers=2, **explore)))
    starts = [(episode.info.start, int(episode.column("x")[0])) for episode in whole.episodes]
    # The first batch knows no other place; of the others four in five begin in one.
    assert {start for start, _ in starts[:32]} == {"level"}
    assert sum(start == "archive" for start, _ in starts[32:]) > 20
    assert all(x <= 60 for start, x in starts if start == "level")
    assert max(x for start, x in starts if start == "archive") > 60


def test_any_policy_goes_on_from_places_that_were_reached_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d"
    collect(small(output, policy="explore", episodes=40, max_steps=20))
    collect(small(output, policy="right", episodes=20, max_steps=2, elsewhere=0.5, append=True))
    assert "there already" not in capsys.readouterr().err  # of this collection none was
    later = open_dataset(output).episodes[40:]
    starts = [episode.info.start for episode in later]
    assert 3 < starts.count("archive") < 17
    assert max(episode.column("x")[0] for episode in later) > 60
    # Without a share from elsewhere they begin at the start, and the places stay for others.
    collect(small(output, policy="right", episodes=3, max_steps=2, append=True))
    assert [episode.info.start for episode in open_dataset(output).episodes[60:]] == ["level"] * 3
    assert (tmp_path / "d.archive.safetensors").exists()
    # They go with the data set that replaces theirs.
    collect(small(output, policy="right", max_steps=2))
    assert not (tmp_path / "d.archive.safetensors").exists()


@pytest.mark.parametrize("form", ["d", "d.pkl"])
def test_places_survive_where_the_end_of_an_exploration_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    config = small(tmp_path / form, policy="explore", episodes=3, max_steps=4)
    monkeypatch.setattr("mario_world_model.training.gather_in_folder.save_config", break_off)
    with pytest.raises(KeyboardInterrupt):
        collect(config)
    monkeypatch.undo()
    collect(config)
    assert (tmp_path / f"{form}.archive.safetensors").exists()
    assert not (tmp_path / f"{form}.partial").exists()


def test_an_interrupted_exploration_ends_as_an_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explore = {"policy": "explore", "episodes": 70, "max_steps": 12}
    whole = open_dataset(collect(small(tmp_path / "whole", workers=1, **explore)))
    written = data_collection.write_archive

    def pull_the_plug(path: Path, archive: Archive, episodes: int) -> None:
        written(path, archive, episodes)
        if episodes == 64:
            raise KeyboardInterrupt

    monkeypatch.setattr(data_collection, "write_archive", pull_the_plug)
    with pytest.raises(KeyboardInterrupt):
        collect(small(tmp_path / "d", **explore))
    monkeypatch.undo()
    assert open_dataset(collect(small(tmp_path / "d", **explore))).fingerprint == whole.fingerprint


def one(output: Path, append: bool = False) -> CollectConfig:
    return small(output, episodes=1, max_steps=4, workers=1, append=append)


def break_off(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("form", "last"),
    [("d", "sync_folder"), ("d", "save_config"), ("d", "FolderGathering.remove"), ("d.pkl", "save_config")],
)
def test_the_end_of_a_collection_can_be_broken_off_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, append: bool, last: str
) -> None:
    def gather(name: str) -> str:
        output = tmp_path / name / form
        if append:
            collect(one(output))
        if name == "broken":
            monkeypatch.setattr(f"mario_world_model.training.gather_in_folder.{last}", break_off)
            with contextlib.suppress(KeyboardInterrupt):
                collect(one(output, append=append))
            monkeypatch.undo()
            assert (tmp_path / name / f"{form}.partial").exists()
        collect(one(output, append=append))
        return open_dataset(output).fingerprint

    assert gather("broken") == gather("whole")
    assert sorted(path.name for path in (tmp_path / "broken").iterdir()) == sorted([form, f"{form}.json"])


def test_a_finished_collection_says_so_and_plays_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = collect(small(tmp_path / "d.pkl", episodes=2))
    written = output.stat().st_mtime_ns
    collect(small(output, episodes=2))
    assert "d.pkl: complete already; --no-resume starts over" in capsys.readouterr().err
    assert output.stat().st_mtime_ns == written
    collect(small(output, episodes=2, resume=False))
    assert output.stat().st_mtime_ns > written


@pytest.mark.parametrize("actions", ["RIGHT_ONLY", "SIMPLE_MOVEMENT", "COMPLEX_MOVEMENT"])
def test_who_waits_stands_for_long_between_its_runs(actions: ActionSet) -> None:
    policy, screen = WaitingPolicy(actions), np.zeros((224, 240, 3), np.uint8)
    policy.reset(np.random.default_rng(3))
    played = [policy.act(screen) for _ in range(6000)]
    pressed = itertools.groupby(action_buttons(actions)[action] for action in played)
    held = [(buttons, len(list(steps))) for buttons, steps in pressed]
    stood = [steps for buttons, steps in held[:-1] if buttons == NOOP]
    # Where there is no way back it stands instead.
    assert min(stood) >= 6
    assert 36 <= max(stood) <= 40 + (6 if actions == "RIGHT_ONLY" else 0)
    assert 0.5 < sum(stood) / 6000 < 0.85
    others = {buttons for buttons, _ in held} - {NOOP}
    assert others == {RIGHT, RIGHT | A, RIGHT | B, RIGHT | A | B, A, LEFT} & set(action_buttons(actions))

"""A data set's way to Minari and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mario_world_model import cli
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.pickle_file import write_pickle
from tests.rollouts.episodes import made_up_episode, with_info

NAME = "mario/level-1-1-v0"
EPISODES = [
    made_up_episode(0, steps=6),
    made_up_episode(1, steps=1, flag=True),
    with_info(made_up_episode(7, steps=4, terminated=False), policy="explore", start="archive", seed=3),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pickle(tmp_path / "d.pkl", EPISODES)
    return tmp_path / "d.pkl"


def data_command(action: str, path: Path, root: Path, name: str = NAME) -> int:
    return cli.main(["data", action, str(path), "--minari", name, "--minari-root", str(root)])


def test_what_comes_back_is_what_went(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari", reason="Minari is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    root = Path("exported")
    assert data_command("export", data, root) == 0
    assert not (tmp_path / "elsewhere").exists()
    for again in (tmp_path / "again.pkl", tmp_path / "again"):
        assert data_command("import", again, root) == 0
        dataset = open_dataset(again)
        assert dataset.fingerprint == open_dataset(data).fingerprint
        for found, gone in zip(dataset.episodes, EPISODES, strict=True):
            assert found.info == gone.info
            for name, array in gone.arrays().items():
                assert found.arrays()[name].dtype == array.dtype
                assert np.array_equal(found.arrays()[name], array)


def test_others_read_it_as_any_of_minari_s(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason="Minari is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "m"))
    assert cli.main(["data", "export", str(data), "--minari", NAME]) == 0
    found = minari.load_dataset(NAME)
    assert (found.total_episodes, found.total_steps) == (3, 11)
    assert list(minari.list_local_datasets()) == [NAME]
    assert found.observation_space.shape == (64, 64, 3)
    assert found.action_space.n == 7
    for arrays, gone in zip(found.iterate_episodes(), EPISODES, strict=True):
        assert np.array_equal(arrays.observations, gone.frames)
        assert np.array_equal(arrays.infos["x"], gone.column("x"))
        assert arrays.terminations.tolist() == [False] * (len(gone) - 1) + [gone.info.terminated]
        assert arrays.truncations.tolist() == [False] * (len(gone) - 1) + [gone.info.truncated]


def test_what_is_amiss_is_said_in_a_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    minari = pytest.importorskip("minari", reason="Minari is not installed")
    root = tmp_path / "m"
    assert data_command("export", data, root) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        found = minari.load_dataset(NAME)
        found.storage.update_episode_metadata([{"provenance": "{}"}], [1])
    new = tmp_path / "n"
    for said, *words in (
        ("found a data set", "export", data, root),
        ("expected a name as mario/level-1-1-v0, found 'no name'", "export", data, root, "no name"),
        ("expected nothing there", "import", data, root),
        ("expected a data set of Minari, found none", "import", new, root, "other-v0"),
        ("episode 1: expected episode schema 1, found None", "import", new, root),
    ):
        assert data_command(*words) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["data", "export", str(data)]) == 2
    assert "expected --minari NAME" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.pkl", "m"]
    assert sorted(path.name for path in root.iterdir()) == ["mario"]


def test_without_minari_one_line_says_how_to_get_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    assert data_command("export", data, tmp_path / "m") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "minari[hdf5]"' in line


def test_a_file_that_claims_more_than_it_holds_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("minari", reason="Minari is not installed")
    h5py = pytest.importorskip("h5py", reason="Minari is installed without HDF5")
    root = tmp_path / "m"
    assert data_command("export", data, root) == 0
    file = root / NAME / "data" / "main_data.hdf5"
    sound = file.read_bytes()
    big = (10**9, 64, 64, 3)
    for change in (
        lambda group: group.create_dataset("observations", big, np.uint8, chunks=(1, 64, 64, 3)),  # nothing is written
        lambda group: group.create_dataset("observations", (10**6,), np.uint8, np.zeros(10**6), compression="gzip"),
        lambda group: group.__setitem__("observations", h5py.ExternalLink(str(tmp_path / "other.hdf5"), "/o")),
        lambda group: group.__setitem__("observations", h5py.SoftLink("/episode_1/observations")),
        lambda group: group.__setitem__("observations", group),
    ):
        file.write_bytes(sound)
        with h5py.File(file, "a") as content:
            del content["episode_0/observations"]
            change(content["episode_0"])
        capsys.readouterr()
        assert data_command("import", tmp_path / "n", root) == 2
        said = capsys.readouterr().err
        assert "which are not there" in said or "leads elsewhere" in said
        assert said.count("\n") == 1
        assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("metadata", ["", "[]", "{}", '{"data_format": 3}', "[" * 100_000])
def test_metadata_that_is_damaged_costs_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], metadata: str
) -> None:
    pytest.importorskip("minari", reason="Minari is not installed")
    assert data_command("export", data, tmp_path / "m") == 0
    (tmp_path / "m" / NAME / "data" / "metadata.json").write_text(metadata)
    capsys.readouterr()
    assert data_command("import", tmp_path / "n", tmp_path / "m") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_killed_run_left_is_removed(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("minari", reason="Minari is not installed")
    gone = subprocess.Popen(["true"])
    gone.wait()
    for left in (tmp_path / "m" / f".mario-level-1-1-v0.{gone.pid}.tmp", tmp_path / f".n.{gone.pid}.tmp"):
        left.mkdir(parents=True)
        (left / "episode-000000.safetensors").write_text("half of it")
    assert data_command("export", data, tmp_path / "m") == 0
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["mario"]
    assert data_command("import", tmp_path / "n", tmp_path / "m") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.pkl", "m", "n"]

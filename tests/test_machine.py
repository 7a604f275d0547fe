"""What the machine may do to a command costs one line."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch

from mario_world_model import cli
from mario_world_model.command import run_command
from mario_world_model.config import TrainVAEConfig
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.utils.tracking import Tracker
from tests.rollouts.episodes import made_up_episode

TRAIN = "train-vae --preset debug --device cpu --dataset d.pkl"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "d.pkl", [made_up_episode(index, steps=20) for index in range(3)])
    return tmp_path


@pytest.mark.parametrize("where", ["/proc/here/v.pt", "/dev/null/v.pt", "locked/v.pt"])
def test_a_folder_that_cannot_be_written_is_named(there: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    (there / "locked").mkdir(mode=0o555)
    if where.startswith("locked") and os.access(there / "locked", os.W_OK):
        pytest.skip("this user may write everywhere")
    assert cli.main([*TRAIN.split(), "--output", where]) == 2
    said = capsys.readouterr().err
    assert f"{where}.lock: cannot be written: " in said
    assert said.count("\n") == 1


def test_a_folder_for_the_log_that_cannot_be_written(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (there / "logs").write_text("in the way")
    assert cli.main([*TRAIN.split(), "--output", "v.pt"]) == 2
    said = capsys.readouterr().err
    assert "logs/vae/" in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("there")
def test_a_missing_folder_is_made() -> None:
    assert cli.main([*TRAIN.split(), "--output", "not/yet/there/v.pt"]) == 0
    assert Path("not/yet/there/v.pt").is_file()


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate"), MemoryError()])
def test_too_little_memory_costs_one_line(capsys: pytest.CaptureFixture[str], fault: Exception) -> None:
    def fail(_: TrainVAEConfig) -> None:
        raise fault

    assert run_command(TrainVAEConfig, fail, "train", []) == 2
    said = capsys.readouterr().err
    assert "out of memory; a smaller --batch-size may help" in said
    assert said.count("\n") == 1


def test_a_clock_that_is_put_back_mixes_no_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20261123-010000")
    folders = set()
    for _ in range(3):
        with Tracker(tmp_path, "vae", TrainVAEConfig()) as tracker:
            folders.add(tracker.folder)
    assert len(folders) == 3


@pytest.mark.usefixtures("there")
def test_training_asks_nobody_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert cli.main([*TRAIN.split(), "--output", "v.pt"]) == 0
    train = "train-mdn-rnn --preset debug --device cpu --dataset d.pkl --vae v.pt --output m.pt"
    assert cli.main(train.split()) == 0
    train = "train-controller --preset debug --device cpu --vae v.pt --mdnrnn m.pt --output c.pt"
    assert cli.main(train.split()) == 0


@pytest.mark.usefixtures("rom", "there")
def test_scores_are_the_same_whatever_the_number_of_workers() -> None:
    found = []
    for workers in (1, 2):
        line = f"evaluate --policy uniform --episodes 3 --max-steps 30 --workers {workers} --output {workers}.json"
        assert cli.main(line.split()) == 0
        found.append(json.loads(Path(f"{workers}.json").read_text())["episodes"])
    assert found[0] == found[1]

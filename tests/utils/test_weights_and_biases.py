"""What goes to Weights & Biases, held by a stand-in for its library."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from mario_world_model import cli
from mario_world_model.config import TrainVAEConfig
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.utils.tracking import Tracker
from tests.rollouts.episodes import made_up_episode


class Account:
    """The library, and what it was told."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.exits: list[int] = []

    def init(self, **arguments: Any) -> Account:
        self.begun.append(arguments)
        return self

    def log(self, named: dict[str, float], step: int) -> None:
        self.logged.append((step, named))

    def finish(self, exit_code: int) -> None:
        self.exits.append(exit_code)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    module = types.ModuleType("wandb")
    monkeypatch.setattr(module, "init", account.init, raising=False)
    monkeypatch.setattr(module, "Settings", dict, raising=False)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return account


def test_the_same_scalars_go_there_under_the_same_names(tmp_path: Path, account: Account) -> None:
    with Tracker(tmp_path, "vae", TrainVAEConfig(batch_size=7), mirrored=True) as tracker:
        tracker.scalars(3, held_out__loss=1.5, cost__seconds=2.0)
    (begun,) = account.begun
    assert (begun["project"], begun["job_type"], begun["dir"]) == ("mario-world-model", "vae", str(tracker.folder))
    assert begun["config"]["batch_size"] == 7
    assert account.logged == [(3, {"held_out/loss": 1.5, "cost/seconds": 2.0})]
    assert account.exits == [0]
    line = json.loads((tracker.folder / "scalars.jsonl").read_text())
    assert {name: line[name] for name in account.logged[0][1]} == account.logged[0][1]


def test_a_log_that_goes_on_goes_on_there(tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), Tracker(tmp_path, "vae", TrainVAEConfig(), mirrored=True) as tracker:
        raise KeyboardInterrupt
    monkeypatch.setenv("WANDB_PROJECT", "another")
    with Tracker(tmp_path, "vae", TrainVAEConfig(), earlier=(tracker.folder, 3), mirrored=True):
        pass
    first, second = account.begun
    assert first["id"] == second["id"]
    assert second["resume"] == "allow"
    assert second["project"] == "another"
    assert account.exits == [1, 0]


def test_nobody_asks_for_it_unless_told(tmp_path: Path, account: Account) -> None:
    with Tracker(tmp_path, "vae", TrainVAEConfig()):
        pass
    assert account.begun == []


@pytest.mark.parametrize("command", ["train-vae --dataset d.pkl", "run --preset debug --output r"])
def test_without_the_library_one_line_says_how_to_get_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "d.pkl", [made_up_episode(0), made_up_episode(1)])
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert cli.main([*command.split(), "--wandb"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("--wandb: expected Weights & Biases, found it missing: pip install wandb")
    assert [path.name for path in tmp_path.iterdir() if path.name != "d.pkl"] == []

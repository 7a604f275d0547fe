"""A stage that is stopped goes on; one that has finished says so; one that would mix two runs is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mario_world_model import cli
from mario_world_model.errors import InputError
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.training.evolution import History
from mario_world_model.training.finite import require_finite
from mario_world_model.training.journal import Journal
from mario_world_model.training.train_vae import VAEFigures
from mario_world_model.utils.checkpoint import load_checkpoint, save_checkpoint
from mario_world_model.utils.lock import sole_writer
from tests.rollouts.episodes import made_up_episode

LINE = "train-vae --preset debug --device cpu --dataset d.pkl --output v.pt"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set; commands run inside it."""
    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "d.pkl", [made_up_episode(index, steps=40) for index in range(4)])
    return tmp_path


def begin(line: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mario_world_model", *line.split()]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_ends_as_if_undisturbed(
    there: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, status: int
) -> None:
    line = f"{LINE} --batch-size 8 --epochs 3 --save-every 0.3"
    stage = begin(line, there)
    wait_for(there / "v.pt.resume")
    stage.send_signal(number)
    said = stage.communicate(timeout=60)[1]
    assert stage.returncode == status
    assert "interrupted; the same command goes on from here" in said
    assert not (there / "v.pt").exists()
    assert cli.main(line.split()) == 0
    assert "v.pt.resume: going on from step" in capsys.readouterr().err
    disturbed = (there / "v.pt").read_bytes()
    (logs,) = (there / "logs/vae").glob("*/scalars.jsonl")  # one log for both sittings
    steps = [json.loads(text)["step"] for text in logs.read_text().splitlines()]
    assert steps == sorted(steps)
    assert cli.main([*line.split(), "--no-resume"]) == 0
    assert "v.pt: starting over" in capsys.readouterr().err
    whole = torch.load(there / "v.pt", weights_only=True)["tensors"]
    (there / "v.pt").write_bytes(disturbed)
    again = torch.load(there / "v.pt", weights_only=True)["tensors"]
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert not list(there.glob("*.resume"))
    assert not list(there.glob("*.lock"))


_IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is not so where the tests run under nohup
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "mario_world_model", *sys.argv[1:]])
"""


def test_a_closed_terminal_costs_nothing(there: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    line = f"{LINE} --batch-size 8 --epochs 200 --save-every 1000"
    command = [sys.executable, "-c", _IN_A_TERMINAL, *line.split()]
    stage = subprocess.Popen(command, cwd=there, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"psnr" not in seen:  # until it has something to lose
        seen += os.read(ours, 1000)
    os.close(ours)
    os.kill(stage.pid, signal.SIGHUP)  # as the shell in it does, beside the system
    assert stage.wait(60) == 128 + signal.SIGHUP
    assert not list(there.glob("*.lock"))
    state = load_checkpoint(there / "v.pt.resume", "VAE resume")
    assert state.config["counters"]["update"] > 0


def test_a_second_signal_leaves_at_once(there: Path) -> None:
    stage = begin(f"{LINE} --epochs 100000 --batch-size 160", there)
    wait_for(there / "v.pt.json")
    for _ in range(2):
        os.kill(stage.pid, signal.SIGINT)
        time.sleep(0.001)
    stage.communicate(timeout=5)
    assert stage.returncode == 130
    with sole_writer(there / "v.pt"):  # the lock binds nobody
        pass


def test_a_finished_run_says_so_and_trains_nothing(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(LINE.split()) == 0
    first = capsys.readouterr()
    written = (there / "v.pt").stat().st_mtime_ns
    assert cli.main(LINE.split()) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "v.pt: complete already; --no-resume starts over" in second.err
    assert (there / "v.pt").stat().st_mtime_ns == written
    # Another setting, other data, or a file that somebody has put in its place: another run.
    assert cli.main([*LINE.split(), "--epochs", "2"]) == 0
    write_pickle(there / "d.pkl", [made_up_episode(index, steps=40) for index in range(5)])
    assert cli.main([*LINE.split(), "--epochs", "2"]) == 0
    (there / "v.pt").write_bytes(b"something else")
    assert cli.main([*LINE.split(), "--epochs", "2"]) == 0
    assert "complete already" not in capsys.readouterr().err


def test_figures_that_another_version_noted_are_no_record(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(LINE.split()) == 0
    record = json.loads((there / "v.pt.json").read_text())
    sound = record["finished"]["figures"]
    for figures in ({"loss": 1.0}, {**sound, "psnr_after": "high"}, {**sound, "more": 1.0}):
        record["finished"]["figures"] = figures
        (there / "v.pt.json").write_text(json.dumps(record))
        assert cli.main(LINE.split()) == 0
        assert "complete already" not in capsys.readouterr().err
    assert json.loads((there / "v.pt.json").read_text())["finished"]["figures"] == sound


def test_figures_in_a_journal_are_numbers(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {}, True)
    given = journal.stage("vae", VAEFigures, lambda: VAEFigures(2.0, 1.0, 9.0))
    assert Journal(tmp_path, {}, True).stage("vae", VAEFigures, lambda: VAEFigures(0.0, 0.0, 0.0)) == given
    noted = (tmp_path / "progress.json").read_text()
    (tmp_path / "progress.json").write_text(noted.replace("9.0", '"high"'))
    with pytest.raises(InputError, match="found a damaged one"):
        Journal(tmp_path, {}, True).stage("vae", VAEFigures, lambda: given)


def interrupted(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the state of a run that was broken off after its first epoch."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mario_world_model.training.train_vae.save_vae", stop)
    assert cli.main([*LINE.split(), "--save-every", "0"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(there)


def test_an_interrupted_run_is_not_gone_on_with_under_other_settings(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(there, monkeypatch)
    state = (there / "v.pt.resume").read_bytes()
    capsys.readouterr()
    assert cli.main([*LINE.split(), "--learning-rate", "0.1"]) == 2
    said = capsys.readouterr().err
    assert "found one with another learning_rate (0.001, here 0.1)" in said
    assert said.count("\n") == 1
    write_pickle(there / "d.pkl", [made_up_episode(index, steps=40) for index in range(5)])
    assert cli.main(LINE.split()) == 2
    assert "found one with another dataset" in capsys.readouterr().err
    assert (there / "v.pt.resume").read_bytes() == state
    assert cli.main([*LINE.split(), "--no-resume"]) == 0
    assert "v.pt.resume: given up; starting over" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [0, 100, -200])
def test_a_damaged_state_costs_one_line(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    interrupted(there, monkeypatch)
    state = there / "v.pt.resume"
    state.write_bytes(state.read_bytes()[:cut])
    capsys.readouterr()
    assert cli.main(LINE.split()) == 2
    said = capsys.readouterr().err
    assert "v.pt.resume: expected" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("counter", "value"),
    [("update", -1), ("epoch", "first"), ("batch", 2**70), ("loss_before", math.nan), ("seconds", None)],
)
def test_counters_that_nobody_counted_cost_one_line(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], counter: str, value: object
) -> None:
    interrupted(there, monkeypatch)
    state = load_checkpoint(there / "v.pt.resume", "VAE resume")
    counters = {**state.config["counters"], counter: value}
    save_checkpoint(there / "v.pt.resume", dataclasses.replace(state, config={**state.config, "counters": counters}))
    capsys.readouterr()
    assert cli.main(LINE.split()) == 2
    assert "found a damaged one; --no-resume starts over" in capsys.readouterr().err


@pytest.mark.parametrize("returns", [np.zeros((3, 5)), np.zeros(3), np.full((3, 6), np.inf)])
def test_returns_of_no_evolution_cost_one_line(returns: NDArray[np.float64]) -> None:
    evolution = SimpleNamespace(ask=lambda: [np.zeros(4)] * 6, tell=lambda *_: None, mean=np.zeros(4))
    history = History.of({"returns": torch.from_numpy(returns), "mean": torch.zeros(4)})
    with pytest.raises(InputError, match=r"c\.pt\.resume: expected the state of an interrupted run"):
        history.replay(evolution, 10, Path("c.pt.resume"))


def test_two_runs_with_one_output(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sole_writer(there / "v.pt"):
        assert cli.main(LINE.split()) == 2
    said = capsys.readouterr().err
    assert f"v.pt.lock: expected no other run with this output, found process {os.getpid()} at it" in said
    assert said.count("\n") == 1


def test_the_lock_of_a_killed_run_is_taken_over(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (there / "v.pt.lock").write_text(f"{ended.pid}\n")
    half = there / f".v.{ended.pid}.tmp.pt"
    half.write_bytes(b"half of it")
    assert cli.main(LINE.split()) == 0
    assert f"left by process {ended.pid}, which has ended; taken over" in capsys.readouterr().err
    assert not half.exists()
    assert not (there / "v.pt.lock").exists()


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_no_step_is_taken_with_a_number_that_is_not_finite(what: str) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, np.inf if what == "gradient" else 1.0])
    loss = torch.tensor(np.nan if what == "loss" else 1.0)
    with pytest.raises(InputError, match=f"VAE: step 3, epoch 0, batch 3: expected a finite {what}, found (nan|inf)"):
        require_finite(loss, [weight], "VAE: step 3, epoch 0, batch 3")

"""Two processes of torchrun train what one process trains, but for rounding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import CollectConfig
from mario_world_model.training.data_collection import collect
from mario_world_model.utils.checkpoint import load_checkpoint

RANKS = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "--"]

# Sums are taken in another order, and Adam divides by the size of a gradient, however small: a weight whose gradient is
# all rounding may move by a whole step (2e-3 at most here) the other way.
CLOSE = 5e-3


@pytest.fixture(scope="module")
def folder(rom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    del rom
    folder = tmp_path_factory.mktemp("torchrun")
    collect(CollectConfig(policy="biased", episodes=8, max_steps=40, workers=1, output=folder / "d"))
    return folder


def command(folder: Path, stage: str, output: str, *flags: str, ranks: bool) -> list[str]:
    inputs = [
        "--dataset",
        str(folder / "d"),
        *(["--vae", str(folder / "one_v.pt")] if stage == "train_mdn_rnn" else []),
    ]
    return [
        *(RANKS if ranks else [sys.executable, "-m"]),
        f"mario_world_model.training.{stage}",
        *("--preset", "debug", "--device", "cpu", "--logs", str(folder / "logs"), "--output", str(folder / output)),
        *(*inputs, *flags),
    ]


def train(folder: Path, stage: str, output: str, *flags: str, ranks: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, stage, output, *flags, ranks=ranks),
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def furthest(folder: Path, one: str, other: str, kind: str) -> float:
    """The largest difference of two checkpoints' weights."""
    here, there = (load_checkpoint(folder / name, kind).tensors for name in (one, other))
    return max(float((here[name].double() - there[name].double()).abs().max()) for name in here)


def test_two_ranks_train_the_same_world_model(folder: Path) -> None:
    v, m = "train_vae", "train_mdn_rnn"
    train(folder, v, "one_v.pt", ranks=False)
    said = train(folder, v, "two_v.pt", ranks=True)
    assert said.stdout.count("two_v.pt: held-out loss") == 1
    assert furthest(folder, "one_v.pt", "two_v.pt", "vae") < CLOSE
    train(folder, m, "one_m.pt", "--open-loop", "4", ranks=False)
    train(folder, m, "two_m.pt", "--open-loop", "4", ranks=True)
    assert furthest(folder, "one_m.pt", "two_m.pt", "mdn_rnn") < CLOSE
    with torch.inference_mode():
        load_world_model(folder / "one_v.pt", folder / "two_m.pt")[0].decode(torch.zeros(1, 64))
    # Either finds what the other has finished.
    assert "complete already" in train(folder, v, "two_v.pt", ranks=False).stderr
    assert train(folder, v, "one_v.pt", ranks=True).stderr.count("complete already") == 1


def test_a_training_of_two_ranks_goes_on_with_one(folder: Path) -> None:
    flags = ["--epochs", "40", "--save-every", "0"]
    state = folder / "three_v.pt.resume"
    running = subprocess.Popen(command(folder, "train_vae", "three_v.pt", *flags, ranks=True), stderr=subprocess.PIPE)
    while not state.is_file():
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    running.communicate()
    assert state.is_file()
    assert not (folder / "three_v.pt").exists()
    said = train(folder, "train_vae", "three_v.pt", *flags, ranks=False).stderr
    assert "begun by 2 of torchrun's processes, now 1" in said
    assert not state.exists()
    assert load_checkpoint(folder / "three_v.pt", "vae").provenance["updates"] > 40


def test_a_batch_that_cannot_be_cut_evenly_is_refused(folder: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        train(folder, "train_vae", "four_v.pt", "--batch-size", "7", ranks=True)
    assert "batch_size: expected a multiple of the 2 ranks, found 7" in caught.value.stderr

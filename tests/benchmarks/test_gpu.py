"""The GPU's benchmark: here on the CPU, with little of everything, since it is the device that differs alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

SMALL = gpu.Sizes(
    side=64,
    copied=2**16,
    frames=40,
    steps=300,
    vae_batches=(2,),
    mdn_rnn_batches=(2,),
    dreams=((3, 2),),
    horizon=3,
    cpu_batch=2,
    piece=0.001,
    turns=1,
)


def test_everything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = gpu.measure(torch.device("cpu"), SMALL)
    assert [row["stage"] for row in results["gpu"]] == [*["ceilings"] * 2, *"VVVMM", *["dream"] * 2, "play"]
    assert all(row["ours"] > 0 and row["other"] > 0 for row in results["gpu"])
    (tmp_path / "gpu.json").write_text(json.dumps(results))
    document = tmp_path / "speed.md"
    document.write_text("<!-- bench gpu -->\n<!-- /bench -->\n")
    into = ["--results", str(tmp_path / "gpu.json"), "--into", str(document)]
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", *into])
    assert gpu.main() == 0
    assert "| V | default, batch 2, bfloat16 |" in document.read_text()


def test_without_a_gpu_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    assert gpu.main() == 2
    assert capsys.readouterr().err == "benchmarks.gpu: expected a GPU that torch can use through CUDA, found none\n"

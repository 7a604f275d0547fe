"""Workers that have a device each, here by the names of devices that are not there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from mario_world_model.errors import InputError
from mario_world_model.utils import devices
from mario_world_model.utils.executor import open_executor
from mario_world_model.utils.processes import assigned_device
from mario_world_model.utils.workers import WorkerPool

GPUS = ["cuda:0", "cuda:1"]


def meet(folder: Path) -> tuple[str, int]:
    """The device and the process of a worker, once two have come."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return assigned_device(), os.getpid()


def die_once(flag: Path) -> str:
    if not flag.exists():
        flag.touch()
        os._exit(3)
    return assigned_device()


def device(_: int) -> str:
    return assigned_device()


def test_every_worker_has_a_device_to_itself(tmp_path: Path) -> None:
    with WorkerPool(0, GPUS) as pool:
        found = dict(pool.run(meet, [tmp_path] * 6)).values()
    assert len(set(found)) == 2
    assert {name for name, _ in found} == set(GPUS)


def test_whoever_replaces_a_worker_has_its_device(tmp_path: Path) -> None:
    with WorkerPool(1, GPUS) as pool:
        assert dict(pool.run(die_once, [tmp_path / "flag"])) == {0: "cuda:0"}


def test_workers_without_a_device_compute_on_the_cpu() -> None:
    with WorkerPool(1) as pool:
        assert dict(pool.run(device, [0])) == {0: "cpu"}


def test_gpus_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.gpus_here() == GPUS
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="--dream-on gpus: expected a CUDA device, found none"):
        open_executor(None, 0, gpus=1)

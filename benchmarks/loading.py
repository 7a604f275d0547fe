"""How much of a training step is spent waiting for data, from memory and from a disk that nothing was read from."""

from __future__ import annotations

import os
import statistics
import time

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.vision import _BATCH, _Trainer
from mario_world_model.config import TrainVAEConfig
from mario_world_model.rollouts.dataset import episode_files
from mario_world_model.rollouts.frames import FramePool
from mario_world_model.utils.seeding import stream


def measure_loading(bench: Bench) -> None:
    pool = FramePool(bench.dataset.episodes)
    _found(bench, pool, "share of an update of V spent waiting for data", cold=False)
    # What a data set larger than memory comes to: no page of it is in memory when it is asked for.
    if hasattr(os, "posix_fadvise"):
        _found(bench, pool, "the same, data set larger than memory (no page of it cached)", cold=True)


def _found(bench: Bench, pool: FramePool, what: str, cold: bool) -> None:
    trainer, shares, waited = _Trainer(TrainVAEConfig(), pool), [], []
    batches = pool.batches(_BATCH, stream(0, 0))
    trainer.update(next(batches))
    for _ in range(2 * bench.repeats):
        if cold:
            _forget(bench)
        begun = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        trainer.update(batch)
        ended = time.perf_counter()
        shares.append((loaded - begun) / (ended - begun))
        waited.append(loaded - begun)
    measured = f"{1e3 * statistics.median(waited):.2f} ms for {_BATCH} frames"
    share = 100.0 * statistics.median(shares)
    bench.found(Figure("data loading", what, share, "%", 5.0, at_least=False, measured=measured))


def _forget(bench: Bench) -> None:
    """Ask the system to drop what it has cached of the data set."""
    for file in episode_files(bench.dataset.path):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)

"""The whole run: from nothing to the demo's result."""

from __future__ import annotations

import sys

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.watched import run_watched


def measure_demo(bench: Bench) -> None:
    command = ["run", "--preset", "demo", "--output", str(bench.scratch / "demo")]
    run = run_watched([sys.executable, "-m", "mario_world_model", *command])
    minutes = run.seconds / 60
    measured = "run --preset demo, without the installation"
    bench.found(Figure("whole run", "wall clock", minutes, "min", 10.0, at_least=False, measured=measured))
    if run.megabytes is not None:
        measured = "all processes, pages that they share counted once"
        gigabytes = run.megabytes / 1024
        bench.found(Figure("whole run", "peak memory", gigabytes, "GB", 2.0, at_least=False, measured=measured))

"""How long the command takes to say what it can do."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.paired import median_seconds


def measure_starting(bench: Bench) -> None:
    command = [sys.executable, "-m", "mario_world_model", "--help"]
    bare = [sys.executable, "-c", ""]

    def run(what: list[str]) -> float:
        return median_seconds(lambda: subprocess.run(what, check=True, stdout=subprocess.DEVNULL), bench.repeats)

    measured = f"{run(bare):.2f} s of them Python's own start"
    what = "mario-world-model --help"
    bench.found(Figure("start", what, run(command), "s", 0.3, at_least=False, measured=measured))

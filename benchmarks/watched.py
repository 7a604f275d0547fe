"""A command run to its end, with the time and the memory that it took."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Watched:
    seconds: float
    megabytes: float | None
    """Largest sum over its processes, pages that they share counted once; None where there is no /proc."""


def run_watched(command: Sequence[str]) -> Watched:
    """Raises CalledProcessError when the command fails."""
    begun, most = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, sum(map(_proportional_kilobytes, _with_descendants(process.pid))))
            time.sleep(_LOOK_EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(time.perf_counter() - begun, most / 1024 if most else None)


def _with_descendants(process: int) -> Iterator[int]:
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _with_descendants(int(child))


def _proportional_kilobytes(process: int) -> float:
    """PSS: a page that n processes share counts 1/n."""
    with contextlib.suppress(OSError):  # it has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0

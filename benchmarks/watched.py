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
    own_megabytes: float | None
    """The same without pages of files, which the system can drop and read again."""


def run_watched(command: Sequence[str]) -> Watched:
    """Raises CalledProcessError when the command fails."""
    begun, most, own = time.perf_counter(), 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found = [_kilobytes(one) for one in _with_descendants(process.pid)]
            most = max(most, sum(whole for whole, _ in found))
            own = max(own, sum(part for _, part in found))
            time.sleep(_LOOK_EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(time.perf_counter() - begun, most / 1024 if most else None, own / 1024 if own else None)


def _with_descendants(process: int) -> Iterator[int]:
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _with_descendants(int(child))


def _kilobytes(process: int) -> tuple[float, float]:
    """PSS, in which a page that n processes share counts 1/n, and the part of it that is in no file."""
    found = {}
    with contextlib.suppress(OSError):  # it has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("Pss", "Pss_Anon"):
                found[name] = float(value.split()[0])
    return found.get("Pss", 0.0), found.get("Pss_Anon", 0.0)

"""Memory of a command with all the processes that it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.watched import run_watched

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")

_HOLD = "import sys, time; held = b'x' * (64 << 20); "
_CHILD = f"{_HOLD}time.sleep(1.0)"
# A parent, its child, and a child of that: 64 MB each, all at the same time.
_FAMILY = f"{_HOLD}import subprocess; subprocess.run([sys.executable, '-c', sys.argv[1], *sys.argv[2:]], check=True)"


def test_processes_of_processes_count() -> None:
    run = run_watched([sys.executable, "-c", _FAMILY, _FAMILY, _CHILD])
    assert run.megabytes is not None
    assert run.own_megabytes is not None
    assert 192 < run.own_megabytes < 192 + 3 * 30
    assert run.own_megabytes <= run.megabytes < 192 + 3 * 60
    assert run.seconds > 1.0


def test_pages_that_processes_share_count_once() -> None:
    forked = f"{_HOLD}import os; children = [os.fork() for _ in range(2)]; time.sleep(1.0); all(children) and os.wait()"
    run = run_watched([sys.executable, "-c", forked])
    assert run.own_megabytes is not None
    assert 64 < run.own_megabytes < 2 * 64


def test_a_command_that_fails_says_so() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_watched([sys.executable, "-c", "raise SystemExit(3)"])

"""Every script of this folder in a short version; `make faults` runs them long."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.usefixtures("rom")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "kills --kills 1 --stages collect train-vae train-mdn-rnn train-controller ppo",
            ["1 kills in", "0 with other bytes than the undisturbed run, 0 orphans"],
        ),
        ("workers --faults 3", ["0 hangs, 0 orphans, 0 other data sets"]),
        ("hostile", ["93 of 93 refused in one line, 0 canary files"]),
        ("fuzz --inputs 100", ["100 inputs", "0 uncaught exceptions"]),
        ("full_disk --limit --step 40000", ["former checkpoints load"]),
        ("memory --steps 500000", ["million dream steps"]),
    ],
)
def test_the_short_version(line: str, says: list[str]) -> None:
    name, *flags = line.split()
    command = [sys.executable, "-m", f"tests.faults.{name}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    # Half a million steps are too few to tell growth from what the libraries take at first.
    assert done.returncode == 0 or name == "memory", done.stdout + done.stderr
    for text in says:
        assert text in done.stdout
    assert "NOT REFUSED" not in done.stdout

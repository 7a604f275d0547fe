"""What it takes to run something again: the command, the code, the versions, the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "numpy", "gymnasium", "stable-retro", "stable-baselines3", "cma", "opencv-python-headless")
_ROOT = Path(__file__).parents[2]


def provenance() -> dict[str, Any]:
    """Plain values, none of which names a place on the machine or its user."""
    return {
        "command": command(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **versions()},
        "machine": machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def command() -> str:
    """The command line as a user types it."""
    program = Path(sys.argv[0])
    name = "mario-world-model" if program.name in ("__main__.py", "mario-world-model") else program.name
    return shlex.join([name, *sys.argv[1:]])


def commit() -> str | None:
    """The commit of the code, with a plus where files differ from it; None outside a checkout."""
    if not (_ROOT / ".git").exists():
        return None
    try:
        found, changed = (
            subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{found}+" if changed else found


def versions() -> dict[str, str]:
    """Of the packages that what an agent does depends on, those that are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GiB, and system."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None

"""On what the figures were measured."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from mario_world_model.utils.workers import worker_count


def describe_machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": worker_count(0),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def _processor() -> str:
    """What the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())

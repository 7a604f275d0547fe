"""What a training took: hours of wall clock times the cores in use.

It stands in `<file>.json` beside what was made, not in the file, whose bytes are the same however often a training was
interrupted. A file that has another content than the one it was noted of, or has lost its note, cost nobody knows what.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_world_model.utils.hashes import file_sha256
from mario_world_model.utils.provenance import cores
from mario_world_model.utils.tracking import config_file


@dataclass(frozen=True)
class Cost:
    """Of one training or collection."""

    seconds: float
    """Wall clock, that between interruptions left out."""
    cores: int | None
    """In use; None on a cluster, where nobody counts them."""
    core_hours: float | None
    """Of it and of all that it went on from; None where a part is unknown."""
    data_core_hours: float | None = None
    """Of collecting the episodes that it was trained on, if there were any."""


def cost(
    seconds: float, parallel: int | None, *earlier: float | None, data: float | None = None, ranks: int = 1
) -> Cost:
    """Of `seconds` with so many threads or processes in each of some ranks, after `earlier` core-hours."""
    used = None if parallel is None else min(cores(), parallel) * ranks
    own = None if used is None else seconds * used / 3600
    return Cost(seconds, used, total(own, *earlier), data)


def total(*core_hours: float | None) -> float | None:
    """Their sum; None where one is unknown."""
    known = [hours for hours in core_hours if hours is not None]
    return sum(known) if len(known) == len(core_hours) else None


def hours(known: Cost | None) -> float | None:
    """Core-hours of a cost, where there is one."""
    return None if known is None else known.core_hours


def cost_of(file: Path) -> Cost | None:
    """What the making of a checkpoint cost; None where that is unknown."""
    return _noted(file, "sha256", file_sha256(file)) if file.is_file() else None


def cost_of_data(path: Path, fingerprint: str) -> Cost | None:
    """The same of a data set of that fingerprint."""
    return _noted(path, "fingerprint", fingerprint)


def _noted(path: Path, by: str, identity: str) -> Cost | None:
    try:
        record = json.loads(config_file(path).read_text())["finished"]
        return cost_from_plain(record["cost"]) if record[by] == identity else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def cost_from_plain(plain: Any) -> Cost | None:
    """Rebuild a Cost; None from what is none."""
    try:
        found = Cost(**plain)
    except TypeError:
        return None
    return found if _is_hours(found.core_hours) and _is_hours(found.data_core_hours) else None


def _is_hours(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and 0.0 <= value < math.inf)

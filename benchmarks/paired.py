"""Two things timed against each other: interleaved, repeated, the median of the ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], int]
"""Does a piece of work and returns how many units (steps, images) it was."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    stage: str
    unit: str
    ours: float
    """Units a second, median."""
    other: float
    other_name: str
    ratio: float
    """Median of the ratios of neighbouring runs."""


def rate(work: Work) -> float:
    """Units a second of one run."""
    begun = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - begun)


def compare(stage: str, unit: str, ours: Work, other: Work, other_name: str, repeats: int) -> Row:
    """Run both once to warm up, then `repeats` times in turn."""
    ours()
    other()
    pairs = [(rate(ours), rate(other)) for _ in range(repeats)]
    return Row(
        stage=stage,
        unit=unit,
        ours=statistics.median(mine for mine, _ in pairs),
        other=statistics.median(theirs for _, theirs in pairs),
        other_name=other_name,
        ratio=statistics.median(mine / theirs for mine, theirs in pairs),
    )

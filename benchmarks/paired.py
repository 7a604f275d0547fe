"""Two things timed against each other: interleaved, repeated, the median of the ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Piece = Callable[[], float]
"""Does a piece of work and returns how many units (steps, images) it was."""


@dataclass(frozen=True)
class Comparison:
    """Two rates, measured in turn."""

    ours: float
    """Units a second, median."""
    other: float
    ratio: float
    """Median of the ratios of neighbouring runs."""


def rate(work: Piece) -> float:
    """Units a second of one run."""
    begun = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - begun)


def compare(ours: Piece, other: Piece, repeats: int) -> Comparison:
    """Run both once to warm up, then `repeats` times in turn."""
    ours()
    other()
    pairs = [(rate(ours), rate(other)) for _ in range(repeats)]
    return Comparison(
        ours=statistics.median(mine for mine, _ in pairs),
        other=statistics.median(theirs for _, theirs in pairs),
        ratio=statistics.median(mine / theirs for mine, theirs in pairs),
    )


def median_rate(work: Piece, repeats: int) -> float:
    """Units a second of work that is compared with nothing."""
    work()
    return statistics.median(rate(work) for _ in range(repeats))


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Seconds that one call takes."""

    def once() -> float:
        call()
        return 1.0

    return 1.0 / median_rate(once, repeats)

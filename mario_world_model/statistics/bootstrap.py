"""The bootstrap over training seeds, or over episodes where there is one seed (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import special

from mario_world_model.statistics.aggregates import Aggregate, Scores
from mario_world_model.statistics.interval import Interval

REPLICATES = 2000
_AT_ONCE = 4_000_000  # numbers drawn in one piece


def bootstrap_interval(
    strata: Sequence[Scores], aggregate: Aggregate, seed: int = 0, replicates: int = REPLICATES
) -> Interval:
    """An aggregate of scores with its 95 % interval.

    Args:
        strata: One table (R, E) per environment: R training seeds, E episodes each. What is drawn again stays in
            its environment.
        aggregate: Of all scores together.
        seed: Of the draws.
        replicates: Draws.

    With one training seed, episodes are drawn, and the interval is that of this one agent, not of the method:
    percentiles, moved outwards by as much as Student's t is wider than the normal distribution (Hesterberg 2015).
    With several, whole seeds are drawn. The percentiles of two or three seeds never leave their range, so that the
    interval is Student's t around the estimate with the standard error of the draws.
    """
    estimate = float(aggregate(np.concatenate([table.reshape(-1) for table in strata])))
    drawn = np.concatenate(list(_draws(strata, aggregate, np.random.default_rng(seed), replicates)))
    units = min(_units(table) for table in strata)
    if units < 2:
        return Interval(estimate, float("nan"), float("nan"))
    width = float(special.stdtrit(units - 1, 0.975)) * (units / (units - 1)) ** 0.5
    if any(len(table) > 1 for table in strata):
        half = width * float(drawn.std(ddof=1))
        return Interval(estimate, estimate - half, estimate + half)
    tail = float(special.ndtr(-width))
    low, high = np.quantile(drawn, (tail, 1.0 - tail))
    return Interval(estimate, float(low), float(high))


def _units(table: Scores) -> int:
    """How many are drawn from: training seeds, or the episodes of the only one."""
    return len(table) if len(table) > 1 else table.shape[1]


def _draws(
    strata: Sequence[Scores], aggregate: Aggregate, rng: np.random.Generator, replicates: int
) -> Iterator[Scores]:
    size = sum(table.size for table in strata)
    step = max(1, _AT_ONCE // size)
    for first in range(0, replicates, step):
        count = min(step, replicates - first)
        yield aggregate(np.concatenate([_resampled(table, count, rng) for table in strata], axis=1))


def _resampled(table: Scores, count: int, rng: np.random.Generator) -> Scores:
    """`count` tables like this one, its seeds or the episodes of its only seed drawn again, (count, R · E)."""
    units = _units(table)
    chosen = rng.integers(units, size=(count, units))
    return table.reshape(units, -1)[chosen].reshape(count, -1)

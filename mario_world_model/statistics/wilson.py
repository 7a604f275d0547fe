"""The share of successes (Wilson 1927)."""

from __future__ import annotations

import math

from mario_world_model.statistics.interval import Interval

Z = 1.959963984540054
"""97.5 % point of the standard normal distribution."""


def wilson(successes: int, trials: int) -> Interval:
    """Share of successes in at least one trial, with the 95 % score interval.

    Unlike estimate ± 2 standard errors it says something of 0 in 100 too.
    """
    share, weight = successes / trials, Z * Z / trials
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = Z / (1.0 + weight) * math.sqrt(share * (1.0 - share) / trials + weight / (4.0 * trials))
    return Interval(share, 0.0 if successes == 0 else middle - half, 1.0 if successes == trials else middle + half)

"""Two agents beside each other, and the whole distribution of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_world_model.statistics.aggregates import Scores
from mario_world_model.statistics.interval import Interval

NOT_DISTINGUISHABLE = "not distinguishable"
_REPLICATES = 1000


def superiority(one: Scores, other: Scores) -> float:
    """Chance that an episode of `one` scores higher than one of `other`; a tie counts half (Mann & Whitney 1947)."""
    ordered = np.sort(other.reshape(-1))
    flat = one.reshape(-1)
    below, upto = (np.searchsorted(ordered, flat, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2.0 * len(ordered)))


def probability_of_improvement(one: Scores, other: Scores, seed: int = 0, replicates: int = _REPLICATES) -> Interval:
    """`superiority` of scores (R, E) over others, with a bootstrap 95 % interval.

    Whole training seeds are drawn where there are several, else episodes (Agarwal et al. 2021).
    """
    rng = np.random.default_rng(seed)
    drawn = [superiority(_drawn(one, rng), _drawn(other, rng)) for _ in range(replicates)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(superiority(one, other), float(low), float(high))


def _drawn(table: Scores, rng: np.random.Generator) -> Scores:
    units = table if len(table) > 1 else table.reshape(-1, 1)
    return units[rng.integers(len(units), size=len(units))]


def verdict(name: str, mine: Interval, other_name: str, other: Interval) -> str:
    """Which of two is better by their intervals, or that these do not tell."""
    if np.isnan([mine.low, other.low]).any() or mine.overlaps(other):
        return NOT_DISTINGUISHABLE
    return f"{name} is better" if mine.estimate > other.estimate else f"{other_name} is better"


def performance_profile(scores: Scores, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all episodes that score above each of (N,) thresholds, (N,) (Dolan & Moré 2002; Agarwal et al. 2021)."""
    ordered = np.sort(scores.reshape(-1))
    above: NDArray[np.float64] = 1.0 - np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    return above

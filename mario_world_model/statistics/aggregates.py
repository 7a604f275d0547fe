"""One number for many scores, along the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Aggregate = Callable[[Scores], Any]
"""Scores (..., N) to figures (...)."""


def interquartile_mean(scores: Scores) -> Any:
    """Mean of the middle half of (..., N), (...): a quarter, rounded down, is cut off either end.

    Less noisy than the median, and unlike the mean not carried by a few lucky episodes (Agarwal et al. 2021).
    """
    count = scores.shape[-1]
    cut = count // 4
    # Only which scores are in the middle matters, not their order.
    middle = np.partition(scores, (cut, count - cut - 1), axis=-1)[..., cut : count - cut]
    return middle.mean(axis=-1)


def mean(scores: Scores) -> Any:
    """Mean of (..., N), (...)."""
    return scores.mean(axis=-1)


def median(scores: Scores) -> Any:
    """Median of (..., N), (...)."""
    return np.median(scores, axis=-1)


AGGREGATES: dict[str, Aggregate] = {"IQM": interquartile_mean, "mean": mean, "median": median}

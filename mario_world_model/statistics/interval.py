"""An estimate with the interval that it comes in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A figure, and the ends of its 95 % interval."""

    estimate: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether the two intervals share a point, so that the figures are not to be told apart by them."""
        return self.low <= other.high and other.low <= self.high

"""What a benchmark finds: figures beside what they should reach, and what a stage's work amounts to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.paired import Comparison


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    stage: str
    what: str
    """What the number is, and what it is compared with."""
    value: float
    unit: str
    reach: float
    at_least: bool
    """Whether `reach` is the least or the most that the value may be."""
    measured: str
    """The measurements behind the value, in words."""

    @property
    def reached(self) -> bool:
        return self.value >= self.reach if self.at_least else self.value <= self.reach

    def plain(self) -> dict[str, Any]:
        return {**vars(self), "reached": self.reached}


@dataclass(frozen=True)
class Work:
    """What a unit of a stage must do, and how many units a second were done."""

    stage: str
    unit: str
    operations: float
    """Floating-point operations of a unit: two for every multiplication with its addition."""
    moved: float
    """Bytes of a unit that come from or go to memory if nothing is done twice."""
    rate: float
    """Units a second."""
    formula: str

    def plain(self, ceilings: Ceilings) -> dict[str, Any]:
        return {
            **vars(self),
            "share_of_products": self.operations * self.rate / (ceilings.square * 1e9),
            "share_of_copying": self.moved * self.rate / (ceilings.copying * 1e9),
        }


@dataclass(frozen=True)
class Ceilings:
    """What this machine can do at most, measured in the same run."""

    square: float
    """Large square product of matrices in single precision, GFLOP/s."""
    dream_shapes: dict[str, float]
    """The products of a dream step by their shape, GFLOP/s."""
    copying: float
    """Copying in memory, GB/s read plus written."""


def ratio(
    stage: str, what: str, comparison: Comparison, unit: str, reach: float, scale: float = 1.0, sign: str = "×"
) -> Figure:
    """The figure that a comparison of two rates gives."""
    measured = f"{comparison.ours:,.0f} beside {comparison.other:,.0f} {unit} a second"
    return Figure(stage, what, scale * comparison.ratio, sign, reach, True, measured)

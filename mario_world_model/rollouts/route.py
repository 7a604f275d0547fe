"""A way through 1-1, so that play can begin anywhere in it: actions, found by search, from start to flag."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

ROUTE_STAGE: Final = (1, 1)

# action x steps, SIMPLE_MOVEMENT, 4 frames a step; it reaches the flag on both backends.
_ROUTE = """
    4x1 1x1 2x9 3x11 4x7 6x9 3x6 4x11 3x4 4x1 2x9 0x2 1x20 4x6 1x10 4x8 3x2 1x10 3x5 4x6 3x9 1x5 3x2
    4x11 2x4 1x3 3x6 4x11 3x5 6x1 2x8 3x1 4x10 3x12 0x1 3x2 4x14 3x3 2x1 4x4 2x4 6x1 2x8 4x5 0x8 2x3
    3x4 4x6 3x2 2x4 4x2 1x7 4x2 2x4 1x3 0x9 4x8 3x6 2x6 6x4 4x7 2x2 4x1 3x10 4x4 3x8 4x3 2x5 6x5 0x7
    3x2 0x6 4x3 0x8 4x15 2x2 1x7 4x3
"""


def route() -> list[int]:
    """Its 445 actions."""
    return unpack_runs(".".join(_ROUTE.split()))


def pack_runs(actions: Iterable[int]) -> str:
    """Actions as runs of them: 4, 4, 4, 2 is `4x3.2x1`."""
    return ".".join(f"{action}x{len(list(run))}" for action, run in itertools.groupby(actions))


def unpack_runs(text: str) -> list[int]:
    """Actions from runs of them, as `4x7.2x11`: action 4 for 7 steps, then action 2 for 11."""
    runs = (run.split("x") for run in text.split(".") if run)
    return [int(action) for action, steps in runs for _ in range(int(steps))]

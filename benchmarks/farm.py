"""How long tasks take on so many nodes: a simulation, event by event.

A node works on one task after another. What a task leaves goes to one storage that all nodes share, one file after
another, while the node waits; that, and a last task that starts late, is where more nodes stop helping.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Farm:
    """A number of nodes and what they share."""

    nodes: int
    start: float
    """Seconds until a node takes up its first task."""
    storage: float
    """Bytes a second that the storage takes in, from all nodes together."""


@dataclass(frozen=True)
class Work:
    """One task, as it was measured on one node."""

    seconds: float
    written: float
    """Bytes."""


def makespan(farm: Farm, tasks: Sequence[Work]) -> float:
    """Seconds until the last of the tasks, given out in their order, is stored."""
    free = [farm.start] * min(farm.nodes, len(tasks))
    heapq.heapify(free)
    waiting: list[tuple[float, float]] = []  # (when it has been computed, bytes)
    storage_free = end = 0.0
    for task in tasks:
        # Stores that end before a node takes the next task decide when that node is free.
        while waiting and (not free or waiting[0][0] <= free[0]):
            end = storage_free = _store(farm, waiting, storage_free)
            heapq.heappush(free, end)
        heapq.heappush(waiting, (heapq.heappop(free) + task.seconds, task.written))
    while waiting:
        end = storage_free = _store(farm, waiting, storage_free)
    return end


def _store(farm: Farm, waiting: list[tuple[float, float]], storage_free: float) -> float:
    computed, written = heapq.heappop(waiting)
    return max(computed, storage_free) + written / farm.storage

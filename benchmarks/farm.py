"""How long tasks take on so many nodes: a simulation, event by event.

A node works on one task after another. What a task leaves goes to one storage that all nodes share, one file after
another, while the node waits; that, and a last task that starts late, is where more nodes stop helping.

    python -m benchmarks.farm --tasks 32 --seconds 654 --megabytes 570 --nodes 1 8 64
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--tasks", type=int, required=True, help="how many tasks, all alike")
    flags.add_argument("--seconds", type=float, required=True, help="what a task takes one node")
    flags.add_argument("--megabytes", type=float, required=True, help="what a task leaves")
    flags.add_argument("--nodes", type=int, nargs="+", required=True, help="numbers of nodes")
    flags.add_argument("--start", type=float, default=16.0, help="seconds until a node takes up its first task")
    flags.add_argument("--storage", type=float, default=117.0, help="megabytes a second that all nodes can store")
    chosen = flags.parse_args()
    tasks = [Work(chosen.seconds, 1e6 * chosen.megabytes)] * chosen.tasks
    alone = makespan(Farm(1, chosen.start, 1e6 * chosen.storage), tasks)
    for nodes in chosen.nodes:
        seconds = makespan(Farm(nodes, chosen.start, 1e6 * chosen.storage), tasks)
        print(f"{nodes} nodes: {seconds / 60:.0f} minutes, {alone / seconds:.1f} times as fast as one")


if __name__ == "__main__":
    main()

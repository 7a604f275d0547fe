from __future__ import annotations

import pytest

from benchmarks.farm import Farm, Work, makespan


@pytest.mark.parametrize(
    ("nodes", "tasks", "written", "expected"),
    [
        (1, 3, 0.0, 1.0 + 30.0),
        (3, 3, 0.0, 1.0 + 10.0),
        (64, 3, 0.0, 1.0 + 10.0),  # no task is cut in two
        (2, 3, 0.0, 1.0 + 20.0),  # the last one has a node to itself
        (1, 3, 50.0, 1.0 + 3 * 15.0),
        (3, 3, 50.0, 1.0 + 10.0 + 3 * 5.0),  # all wait for one storage
        (2, 4, 50.0, 1.0 + 10.0 + 5.0 + 10.0 + 5.0 + 5.0),
    ],
)
def test_tasks_end_when_their_nodes_and_the_storage_let_them(
    nodes: int, tasks: int, written: float, expected: float
) -> None:
    assert makespan(Farm(nodes, start=1.0, storage=10.0), [Work(10.0, written)] * tasks) == pytest.approx(expected)

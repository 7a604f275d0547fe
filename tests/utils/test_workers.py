from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mario_world_model.utils.workers import run_tasks, worker_count


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    if number == 2:
        raise ValueError("two is refused")
    return number


def die_once(flag: Path) -> str:
    """The first process to come here is killed as by the machine's memory guard."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_every_task_comes_back_with_its_index() -> None:
    assert dict(run_tasks(square, range(7), workers=2)) == {index: index**2 for index in range(7)}


def test_a_killed_worker_is_replaced_and_its_task_run_again(tmp_path: Path) -> None:
    flags = [tmp_path / name for name in "abc"]
    assert dict(run_tasks(die_once, flags, workers=2)) == dict.fromkeys(range(3), "done")


def test_the_exception_of_a_task_ends_the_run() -> None:
    with pytest.raises(ValueError, match="two is refused"):
        list(run_tasks(refuse, [1, 2, 3], workers=1))


def test_zero_workers_means_one_per_usable_core() -> None:
    assert worker_count(0) >= 1
    assert worker_count(3) == 3

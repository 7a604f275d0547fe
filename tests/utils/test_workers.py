from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from mario_world_model.errors import InputError
from mario_world_model.utils import task_queue, workers
from mario_world_model.utils.workers import WorkerPool, worker_count

Task, Result = TypeVar("Task"), TypeVar("Result")


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Result]]:
    with WorkerPool(workers) as pool:
        yield from pool.run(function, tasks)


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


def stop_once(flag: Path) -> str:
    """The first process to come here hangs, as behind a dead disk."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return "done"


def stop_once_in_a_message(flag: Path) -> str:
    """The first process to come here hangs after half of what it has to say."""
    if not flag.exists():
        flag.touch()
        assert workers._parent is not None
        os.write(workers._parent.fileno(), struct.pack("!i", 1000) + b"half of it")
        os.kill(os.getpid(), signal.SIGSTOP)
    return "done"


def wait_for_a_long_message(message: bytes) -> int:
    return len(message)


def raise_once(flag: Path) -> str:
    if not flag.exists():
        flag.touch()
        raise OSError("a passing fault")
    return "done"


def die(_: int) -> None:
    os._exit(3)


def mistaken(number: int) -> int:
    Path(f"tried-{os.getpid()}-{number}").touch()
    raise InputError("a mistake of the user's")


def linger(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(600)


def test_every_task_comes_back_with_its_index() -> None:
    assert dict(run_tasks(square, range(7), workers=2)) == {index: index**2 for index in range(7)}


def test_a_killed_worker_is_replaced_and_its_task_run_again(tmp_path: Path) -> None:
    flags = [tmp_path / name for name in "abc"]
    assert dict(run_tasks(die_once, flags, workers=2)) == dict.fromkeys(range(3), "done")


def test_a_hung_worker_is_replaced_and_its_task_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "SILENCE", 3.0)
    monkeypatch.setattr(task_queue, "ATTEMPTS", 1000)  # on a crowded machine a worker may take longer to begin
    assert dict(run_tasks(stop_once, [tmp_path / name for name in "ab"], workers=2)) == dict.fromkeys(range(2), "done")
    assert capsys.readouterr().err.count("gave no sign of life") >= 2


def test_a_worker_that_hangs_in_the_middle_of_a_message_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "SILENCE", 1.0)
    monkeypatch.setattr(task_queue, "ATTEMPTS", 1000)
    assert dict(run_tasks(stop_once_in_a_message, [tmp_path / "a"], workers=1)) == {0: "done"}
    assert "gave no sign of life" in capsys.readouterr().err


def test_a_worker_that_hangs_before_it_has_heard_all_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "BEGINNING", 5.0)
    monkeypatch.setattr(task_queue, "ATTEMPTS", 1000)
    long = bytes(5_000_000)
    with WorkerPool(1) as pool:
        assert dict(pool.run(wait_for_a_long_message, [b"a"])) == {0: 1}
        process = pool._workers[0]._process
        os.kill(process.pid or 0, signal.SIGSTOP)
        assert dict(pool.run(wait_for_a_long_message, [long])) == {0: len(long)}
    assert "gave no sign of life" in capsys.readouterr().err


def test_a_worker_that_raises_is_replaced_and_its_task_run_again(tmp_path: Path) -> None:
    assert dict(run_tasks(raise_once, [tmp_path / "a"], workers=1)) == {0: "done"}


def test_a_task_that_ends_every_worker_is_given_up() -> None:
    with pytest.raises(InputError, match=r"ended \(exit code 3\), 4 times with the same task"):
        list(run_tasks(die, [0], workers=1))


def test_a_mistake_of_the_users_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="a mistake"):
        list(run_tasks(mistaken, [0], workers=1))


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from tests.utils.test_workers import linger, run_tasks; "
        f"from pathlib import Path; list(run_tasks(linger, [Path({str(tmp_path)!r})] * 2, workers=2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
        assert parent.poll() is None
    parent.kill()
    parent.wait()
    orphans = [int(path.name) for path in tmp_path.iterdir()]
    until = time.monotonic() + 5
    while any(alive(process) for process in orphans) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(process) for process in orphans)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_more_workers_than_cores_are_remarked_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert [worker_count(1000), worker_count(1000)] == [1000, 1000]
    assert capsys.readouterr().err.count("--workers 1000: more than the") == 1


def test_the_exception_of_a_task_ends_the_run() -> None:
    with pytest.raises(ValueError, match="two is refused"):
        list(run_tasks(refuse, [1, 2, 3], workers=1))


def test_zero_workers_means_one_per_usable_core() -> None:
    assert worker_count(0) >= 1
    assert worker_count(3) == 3

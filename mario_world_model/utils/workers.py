"""A pool of processes, one emulator and one thread each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Self, TypeVar

from mario_world_model.utils.processes import use_one_thread, worker_context

Task = TypeVar("Task")
Result = TypeVar("Result")

_REBUILDS = 3  # pools lost to killed workers before the fault is taken to lie in the task


def worker_count(requested: int) -> int:
    """Processes for `requested` workers; 0 means one per core that this process may use."""
    if requested:
        return requested
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerPool:
    """Processes that stay from one list of tasks to the next, and keep what they have loaded."""

    def __init__(self, workers: int) -> None:
        self._workers = worker_count(workers)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) of every task as it completes.

        A worker that is killed takes the pool with it; the pool is built again and the tasks
        without a result are run again, so a task must be safe to repeat. An exception of a task ends
        the iteration and cancels what has not begun.
        """
        waiting = dict(enumerate(tasks))
        for attempt in range(_REBUILDS + 1):
            try:
                for index, result in self._run_once(function, waiting):
                    del waiting[index]
                    yield index, result
                return
            except BrokenProcessPool:
                self.__exit__()
                if attempt == _REBUILDS:
                    raise

    def _run_once(self, function: Callable[[Task], Result], tasks: dict[int, Task]) -> Iterator[tuple[int, Result]]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=worker_context(), initializer=_begin)
        futures: dict[Future[Result], int] = {}
        try:
            for index, task in list(tasks.items()):
                futures[self._pool.submit(function, task)] = index
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Result]]:
    """`WorkerPool.run` in a pool of its own, no larger than there are tasks."""
    with WorkerPool(min(worker_count(workers), max(1, len(tasks)))) as pool:
        yield from pool.run(function, tasks)


def _begin() -> None:
    # Ctrl-C is the parent's to answer: it cancels what waits and lets running tasks finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()

"""A pool of processes, one emulator and one thread each, in which a lost process costs its task's time and no more."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, Self, TypeVar

from mario_world_model.utils.processes import assign_device, end_with_parent, use_one_thread, worker_context
from mario_world_model.utils.task_queue import LostError, TaskQueue, portable, returned_by

Task = TypeVar("Task")
Result = TypeVar("Result")

SILENCE = 120.0
"""Seconds without a sign of life after which a worker counts as hung; a step of the game takes milliseconds."""

BEGINNING = 120.0  # seconds that a worker may take to start and to take up its task
_BEAT = 1.0  # seconds between signs of life
_POLL = 0.5  # seconds between looks at the silent
# What is said that is not the pickled outcome of a task.
_BEATING: Final = b"at work"
_ENDED: Final = b"ended"


def worker_count(requested: int) -> int:
    """Processes for `requested` workers; 0 means one per core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if requested > cores:
        _warn_of_crowding(requested, cores)
    return requested or cores


@functools.cache
def _warn_of_crowding(requested: int, cores: int) -> None:
    print(f"--workers {requested}: more than the {cores} cores here; they will wait for each other", file=sys.stderr)


class WorkerPool:
    """Processes that stay from one list of tasks to the next, and keep what they have loaded."""

    def __init__(self, workers: int, devices: Sequence[str] = ()) -> None:
        """Of `devices`, if there are any, every worker has one to itself."""
        self._devices = devices[: workers or None]
        self._size = len(self._devices) or worker_count(workers)
        self._workers: list[_Worker] = []
        self._news = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) of every task as it completes.

        A worker that is killed, falls silent or raises is replaced and its task run again, so a task must be
        safe to repeat. What a task raises every time ends the iteration, an InputError at once.
        """
        waiting = TaskQueue(len(tasks))
        try:
            while waiting or any(worker.task is not None for worker in self._workers):
                for worker in self._idle(len(waiting)):
                    worker.begin(waiting.take(), function, tasks)
                self._news.wait(_POLL)
                self._news.clear()
                for worker in list(self._workers):
                    index = worker.task
                    if index is None:
                        continue
                    try:
                        outcome = worker.outcome()
                    except LostError as loss:
                        self._remove(worker)
                        waiting.lost(index, loss)
                    else:
                        if outcome is not None:
                            yield index, outcome[0]
        finally:
            # Whoever broke off does not wait for what is still at work.
            for worker in [one for one in self._workers if one.task is not None]:
                self._remove(worker)

    def _idle(self, wanted: int) -> list[_Worker]:
        """At most `wanted` workers without a task, new ones among them while there is room."""
        idle = [worker for worker in self._workers if worker.task is None]
        new = min(wanted - len(idle), self._size - len(self._workers))
        taken = {worker.device for worker in self._workers}
        free = [device for device in self._devices if device not in taken]
        started = [_Worker(free[number] if free else "cpu", self._news) for number in range(new)]
        self._workers += started
        return (idle + started)[:wanted]

    def _remove(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.remove(worker)


class _Worker:
    """One process, seen from the parent."""

    def __init__(self, device: str, news: threading.Event) -> None:
        """`news` is set whenever there is something to ask `outcome` for."""
        context = worker_context()
        self.device = device
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        self.task: int | None = None
        self._news = news
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._conversation = threading.Thread()
        self._heard, self._at_work = time.monotonic(), False
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, device), daemon=True)  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()

    def begin(self, index: int, function: Callable[[Any], object], tasks: Sequence[object]) -> None:
        self.task, self._heard, self._at_work = index, time.monotonic(), False
        task = bytes(ForkingPickler.dumps((function, tasks[index])))
        self._conversation = threading.Thread(target=self._converse, args=(task,), daemon=True)
        self._conversation.start()

    def _converse(self, task: bytes) -> None:
        """Give it a task and pass on what it says until that is done or the worker ended.

        In a thread: who reads from a process that hangs in the middle of a message, or writes to it, waits for it,
        and nobody would be left to find out that it hangs.
        """
        with contextlib.suppress(EOFError, OSError):
            self._connection.send_bytes(task)
            while True:
                message = self._connection.recv_bytes()
                self._messages.put(message)
                self._news.set()
                if message != _BEATING:
                    return
        self._messages.put(_ENDED)
        self._news.set()

    def outcome(self) -> tuple[Any] | None:
        """What its task returned, once it has; raises LostError, or the task's InputError."""
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._messages.get_nowait()
                if message == _ENDED:
                    self._process.join(1.0)
                    raise LostError(f"worker {self._process.pid} ended (exit code {self._process.exitcode})")
                self._heard, self._at_work = time.monotonic(), True
                if message != _BEATING:
                    return self._judged(*pickle.loads(message))
        silent = time.monotonic() - self._heard
        if silent > (SILENCE if self._at_work else BEGINNING):
            raise LostError(f"worker {self._process.pid} gave no sign of life for {silent:.0f} s")
        return None

    def _judged(self, returned: bool, result: Any) -> tuple[Any]:
        outcome = (returned_by(f"worker {self._process.pid}", returned, result),)
        self.task = None
        return outcome

    def end(self) -> None:
        """Let an idle worker go; it leaves when its connection closes."""
        self._connection.close()
        self._process.join(1.0)
        self.kill()

    def kill(self) -> None:
        """End it whatever it does; a stopped process is killed too."""
        self._process.kill()
        self._process.join()
        self._process.close()
        if self._conversation.ident is not None:
            self._conversation.join()  # its partner is gone, and a number that it reads from may soon be another file's
        self._connection.close()


_parent: Connection | None = None  # in a worker: where its signs of life go
_last_beat = 0.0


def beat() -> None:
    """Say that the task at hand goes on; called at every step of a long one, in a worker or not."""
    global _last_beat
    if _parent is not None and time.monotonic() - _last_beat > _BEAT:
        _last_beat = time.monotonic()
        _parent.send_bytes(_BEATING)


def _serve(connection: Connection, device: str) -> None:
    """The life of a worker: tasks come in, outcomes go out, until the parent closes the connection."""
    global _parent
    _parent = connection
    # Ctrl-C is the parent's to answer: it kills what is at work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    use_one_thread()
    assign_device(device)
    end_with_parent()
    while True:
        try:
            function, task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send_bytes(_BEATING)
            outcome = (True, function(task))
        except Exception as error:
            outcome = (False, portable(error))
        try:
            connection.send(outcome)
        except OSError:
            return

"""Where tasks run: in processes of this machine, or on the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from mario_world_model.utils.workers import WorkerPool

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs tasks somewhere else; what it has started ends with the context.

    A task and its function are pickled, the function by its name. Every file that a task names as a `Path` can be
    read where it runs, though perhaps under another path. A task may be run again, so it must be safe to repeat.
    """

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) of every task as it completes.

        No more tasks are begun than results are taken: whoever is slow with these holds back the others. A task that
        is lost is run again; an InputError that one raises ends the iteration.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_executor(cluster: str | None, workers: int, cores: int = 1, gpus: int = 0) -> Executor:
    """`workers` processes here (0: one per core), or the nodes of the Ray cluster at an address.

    `cores` and `gpus` are what a task takes of a node and has to itself; its GPU is `processes.assigned_device`. Here
    every process has one GPU, and there are no more processes than these. Raises InputError when there is no Ray, no
    such cluster, or no GPU.
    """
    if cluster is None:
        if not gpus:
            return WorkerPool(workers)
        from mario_world_model.utils.devices import gpus_here

        return WorkerPool(workers, gpus_here())
    # Imported here alone, as torch is above: nobody who plays on one machine needs them.
    from mario_world_model.utils.ray_executor import RayExecutor

    return RayExecutor(cluster, cores, gpus)

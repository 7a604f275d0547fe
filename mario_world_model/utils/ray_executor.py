"""Tasks on the nodes of a Ray cluster. Imported only where a cluster is asked for."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import torch

import mario_world_model
from mario_world_model.errors import InputError
from mario_world_model.utils.parcels import pack, unpack
from mario_world_model.utils.processes import assign_device, use_one_thread
from mario_world_model.utils.task_queue import LostError, TaskQueue, portable, returned_by

try:
    import ray
except ModuleNotFoundError as error:
    raise InputError(
        "--cluster: expected Ray to be installed, found none; pip install 'mario-world-model[cluster]'"
    ) from error

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 2
"""Tasks sent for every core: one at work, one waiting beside it. Results that nobody has taken are bounded by it."""

_POLL = 0.5  # seconds between looks at what the cluster has become
_PATIENCE = 10.0  # seconds in which the head has to answer


class RayExecutor:
    """Sends tasks to whatever nodes there are at the moment; those that a node takes with it are sent again."""

    def __init__(self, address: str, cores: int = 1, gpus: int = 0) -> None:
        """Raises InputError when there is no cluster at `address` ("auto": the one this machine is part of).

        A task takes `gpus` too, of which its process sees no others; there have to be some to begin with.
        """
        self._takes = {"CPU": cores, "GPU": gpus} if gpus else {"CPU": cores}
        _connect(address)
        if gpus and not ray.cluster_resources().get("GPU"):
            raise InputError("--dream-on gpus: expected a cluster with GPUs, found none in it")
        # The value tells this executor's processes from those of another: a process has room for one console.
        environment = {"env_vars": {"MARIO_WORLD_MODEL_EXECUTOR": f"{os.getpid()}-{time.time_ns()}"}}
        self._serve = ray.remote(_serve).options(
            num_cpus=cores, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD", runtime_env=environment
        )
        self._files: dict[str, Any] = {}
        self._limit, self._looked = 1, float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.clear()

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """As `Executor.run` has it."""
        waiting = TaskQueue(len(tasks))
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._room():
                    index = waiting.take()
                    running[self._begin(function, tasks[index])] = index
                for reference in ray.wait(list(running), num_returns=1, timeout=_POLL)[0]:
                    index = running.pop(reference)
                    try:
                        result = _outcome(reference)
                    except LostError as loss:
                        waiting.lost(index, loss)
                    else:
                        yield index, result
        finally:
            # Whoever broke off does not wait for what is still at work.
            for reference in running:
                ray.cancel(reference, force=True)

    def _begin(self, function: Callable[[Any], object], task: object) -> Any:
        parcel = pack(function, task)
        for sha256, path in parcel.files.items():
            if sha256 not in self._files:
                self._files[sha256] = ray.put(path.read_bytes())
        files = {sha256: self._files[sha256] for sha256 in parcel.files}
        return self._serve.remote(parcel.content, files, _versions(), self._takes)

    def _room(self) -> int:
        """Tasks that may be under way: nodes come and go, so that this is asked again now and then."""
        if time.monotonic() - self._looked > _POLL:
            self._looked = time.monotonic()
            there = ray.cluster_resources()
            self._limit = max(1, _AHEAD * min(int(there.get(kind, 0)) // count for kind, count in self._takes.items()))
        return self._limit


def smallest_node(address: str) -> tuple[int, int]:
    """The fewest cores, and the fewest GPUs, that a node has which offers any cores."""
    _connect(address)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    cores, gpus = (min((int(node.get(kind, 0)) for node in nodes), default=0) for kind in ("CPU", "GPU"))
    return max(1, cores), gpus


def _connect(address: str) -> None:
    if ray.is_initialized():
        return
    host, _, port = address.rpartition(":")
    if "/" not in host and port.isdigit():
        try:
            # Ray itself goes on asking for many minutes.
            socket.create_connection((host, int(port)), _PATIENCE).close()
        except OSError as error:
            raise InputError(f"--cluster {address}: expected a Ray cluster, found nobody there ({error})") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        found = str(error).splitlines()[0]
        raise InputError(
            f"--cluster {address}: expected a running Ray cluster, found none ({found}); `ray start --head` begins one"
        ) from error


def _outcome(reference: Any) -> Any:
    """What a task returned; raises LostError, or the task's InputError."""
    try:
        node, returned, result = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Our own part of the task catches everything; this came before it, such as a package that is missing.
        raise InputError(f"--cluster: a node cannot run tasks: {error.cause!r}") from error
    except ray.exceptions.RayError as error:
        raise LostError(f"a node or a process of it was lost ({type(error).__name__})") from None
    return returned_by(f"a task on node {node}", returned, result)


def _versions() -> dict[str, str]:
    """What has to be the same everywhere for results to be the same."""
    return {"mario-world-model": mario_world_model.__version__, "torch": torch.__version__, "numpy": np.__version__}


def _serve(
    content: bytes, files: dict[str, Any], versions: dict[str, str], takes: dict[str, int]
) -> tuple[str, bool, Any]:
    """Run one task; returns the node, whether the task returned, and what it returned or raised. Runs on a node."""
    node = ray.util.get_node_ip_address()
    use_one_thread()
    torch.set_num_threads(takes["CPU"])
    assign_device("cuda" if "GPU" in takes else "cpu")
    try:
        if versions != _versions():
            raise InputError(f"--cluster: expected {versions} on every node, found {_versions()} on {node}")
        function, task = unpack(content, lambda sha256: bytes(ray.get(files[sha256])))
        return node, True, function(task)
    except Exception as error:
        return node, False, portable(error)

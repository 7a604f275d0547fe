"""How worker processes are started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from typing import Literal


def start_method() -> Literal["forkserver", "spawn"]:
    """Never fork: a forked child inherits torch's locked thread pools and the parent's emulator."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    # The server imports what every worker needs once; each worker after that starts at once.
    multiprocessing.set_forkserver_preload(["mario_world_model.utils.mortal", "mario_world_model.policies.choice"])
    return "forkserver"


def worker_context() -> BaseContext:
    """The multiprocessing context for `start_method`."""
    return multiprocessing.get_context(start_method())


def use_one_thread() -> None:
    """Called in a worker: one per core is the plan, and a pool of threads in each would only fight over them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def end_with_parent() -> None:
    """Called in a worker: whatever it is doing, it ends when its parent does, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)  # what `utils.mortal` set for the time until now

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


_device = "cpu"


def assign_device(name: str) -> None:
    """Called in a worker: its tasks compute there, as far as they are of a kind that can."""
    global _device
    _device = name


def assigned_device() -> str:
    """What torch calls the device of this worker: a GPU of its own if it was given one, else the CPU."""
    return _device

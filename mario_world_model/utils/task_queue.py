"""Tasks that are to be run somewhere else, how often one may be lost there, and whose fault that is."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections import Counter, deque
from typing import Any

from mario_world_model.errors import InputError

ATTEMPTS = 4
"""Times that a task may be lost before the fault is taken to lie in the task."""


class LostError(Exception):
    """A task has to be run again; `cause` is what to raise if it comes to that too often."""

    def __init__(self, what: str, cause: BaseException | None = None) -> None:
        super().__init__(what)
        self.cause = cause or InputError(f"{what}, {ATTEMPTS} times with the same task")


class TaskQueue:
    """The indices of tasks that wait, in their order; one that was lost comes before the others."""

    def __init__(self, count: int) -> None:
        self._waiting, self._losses = deque(range(count)), Counter[int]()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> int:
        """The next one."""
        return self._waiting.popleft()

    def lost(self, index: int, loss: LostError) -> None:
        """Have a task run again; raises what it was lost by when that was the last of its attempts."""
        self._losses[index] += 1
        if self._losses[index] == ATTEMPTS:
            raise loss.cause from None
        print(f"{loss}; its task is run again", file=sys.stderr)
        self._waiting.appendleft(index)


def portable(error: Exception) -> Exception:
    """An exception that can be sent, with what led to it."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def returned_by(who: str, returned: bool, result: Any) -> Any:
    """What a task returned; raises the InputError that it raised, which would come again, and else LostError."""
    if returned:
        return result
    if isinstance(result, InputError):
        raise result
    raise LostError(f"{who} failed with {type(result).__name__}: {result}", result)

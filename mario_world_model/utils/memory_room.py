"""Work on many rows, in as few parts as memory has room for."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from mario_world_model.errors import InputError

# How torch says it of the CPU, CUDA and MPS; only CUDA has a type for it.
_COMPLAINTS = ("can't allocate memory", "out of memory")


class MemoryRoom:
    """Learns how many rows fit at once, by halving whenever they do not, and says so every time."""

    def __init__(self, rows: str) -> None:
        self._rows = rows
        self._most: int | None = None

    def fill(self, count: int, work: Callable[[slice], Tensor]) -> Tensor:
        """What `work` makes of rows 0 to `count`, put together along the first dimension.

        Raises InputError where there is no room for a single row.
        """
        parts: list[Tensor] = []
        done = 0
        while done < count:
            size = min(count - done, self._most or count)
            part = _attempt(work, slice(done, done + size))
            if part is not None:
                parts.append(part)
                done += size
            elif size == 1:
                raise InputError(f"out of memory: expected room for one of {count} {self._rows}, found too little")
            else:
                self._most = (size + 1) // 2
                print(f"out of memory with {size} {self._rows} at once; going on with {self._most}", file=sys.stderr)
        return torch.cat(parts)


def _attempt(work: Callable[[slice], Tensor], rows: slice) -> Tensor | None:
    """The outcome, or None if memory did not suffice; nothing of the attempt is kept alive by its exception."""
    try:
        return work(rows)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(complaint in str(error) for complaint in _COMPLAINTS):
            return None
        raise

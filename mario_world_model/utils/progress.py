"""How far a stage is: a bar of its own, or a part of what a whole run shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self

from tqdm import tqdm


class Progress(Protocol):
    """The part of tqdm that stages use."""

    n: float

    def update(self, n: float = 1) -> object: ...
    def set_postfix(self, **figures: object) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


Show = Callable[[float, float, str], Progress]
"""From total, what is done of it, and the unit, to where it is shown."""

_show: ContextVar[Show | None] = ContextVar("show", default=None)


@contextlib.contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """While this lasts stages show their progress there."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


def progress(title: str, total: int, unit: str, done: int = 0) -> Progress:
    """Progress of a stage; quiet where the output is not a terminal."""
    show = _show.get()
    if show is not None:
        return show(total, done, unit)
    bar: Progress = tqdm(total=total, initial=done, unit=unit, disable=None, desc=title)
    return bar


def percent_progress(title: str, shown: bool = True) -> Progress:
    """The same from 0 to 100, with the time left and without a rate; quiet too where another process shows it."""
    show = _show.get()
    if show is not None:
        return show(100, 0, "%")
    layout: Any = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    bar: Progress = tqdm(total=100, unit="%", disable=None if shown else True, desc=title, bar_format=layout)
    return bar

"""What SIGTERM and Ctrl-C do: end the program at once, or after the step that it is in."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
_HANG_UP = getattr(signal, "SIGHUP", None)  # unknown to Windows


class Stopped(KeyboardInterrupt):
    """The user or the machine asked for an end; whoever catches Ctrl-C catches it too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number
        """The exit status that shells expect."""


class _Stop:
    """The state of the one process: which signal came, and whether it has to wait."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.waiting = False
        self.terminals: list[int] = []

    def handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == _HANG_UP:
            self._let_terminals_go()
            if self.asked is not None:
                return  # a shell and the system both say so when a window is closed; nobody is impatient
        if self.asked is not None:
            # The second time: nothing is saved, no file is left half-written, workers end by themselves.
            os._exit(128 + number)
        self.asked = number
        if not self.waiting:
            raise Stopped(number)

    def _let_terminals_go(self) -> None:
        """A terminal that is gone makes an error of every word to it."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in self.terminals:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)


_stop = _Stop()


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """While this lasts SIGTERM and Ctrl-C raise `Stopped`, and a second one leaves the process at once.

    So does the loss of the terminal, but for the second one, and unless the process was told to ignore it (nohup).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _stop.asked = None
    _stop.terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
    heard = list(_SIGNALS)
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) != signal.SIG_IGN:
        heard.append(_HANG_UP)
    former = {number: signal.signal(number, _stop.handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_between_steps() -> Iterator[None]:
    """While this lasts a signal is noted, for `stop_asked` to tell."""
    _stop.waiting = True
    try:
        yield
    finally:
        _stop.waiting = False


def stop_asked() -> Stopped | None:
    """The exception to raise, if a signal has come."""
    return None if _stop.asked is None else Stopped(_stop.asked)

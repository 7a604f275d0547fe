"""Imported by the fork server before anything else: it and its workers end when their parent does.

The server looks for its parent's end only between requests, not while it imports torch, and a worker only once it is at
work. Until then a timer looks: it needs no thread, beside which nothing should be forked.
"""

from __future__ import annotations

import os
import signal

_INTERVAL = 0.5  # seconds


def _watch() -> None:
    parent = os.getppid()

    def end_if_orphaned(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, end_if_orphaned)
    signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)


signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is the parent's to answer
_watch()
os.register_at_fork(after_in_child=_watch)  # no timer is inherited

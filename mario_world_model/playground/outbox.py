"""Pictures for the page: only the newest, and only as fast as it draws them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

from mario_world_model.playground.messages import Message
from mario_world_model.playground.session import STEPS_BACK, Point
from mario_world_model.playground.wire import Part, pack

# One being drawn, one behind it. A slow page gets fewer pictures, never older ones.
_MOST_UNDERWAY: Final = 2


class Outbox:
    """Holds back until the page has acknowledged; points of the curves are gathered meanwhile."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._points: list[Point] = []
        self._sent = self._acknowledged = 0
        self._fresh = self._restarted = False

    @property
    def ready(self) -> bool:
        """Whether there is something new and the page can take it."""
        return self._fresh and self._sent - self._acknowledged < _MOST_UNDERWAY

    def change(self) -> None:
        """There is something the page has not been sent."""
        self._fresh = True

    def add(self, point: Point) -> None:
        """A step was made."""
        self._points = [*self._points, point][-STEPS_BACK:]
        self._fresh = True

    def restart(self) -> None:
        """What was gathered belongs to another beginning."""
        self._points = []
        self._fresh = self._restarted = True

    def acknowledge(self, frame: int) -> None:
        """The page has drawn a frame."""
        self._acknowledged = max(self._acknowledged, min(frame, self._sent))

    def send(self, header: Message, point: Point, parts: Sequence[Part]) -> None:
        """Send what there is now."""
        self._sent += 1
        own = {
            "type": "frame",
            "frame": self._sent,
            "restarted": self._restarted,
            "point": _plain(point),
            "points": [_plain(gathered) for gathered in self._points],
        }
        self._points, self._fresh, self._restarted = [], False, False
        self._connection.send_bytes(pack({**own, **header}, parts))


def _plain(point: Point) -> list[float | None]:
    return [None if value is None else round(value, 4) for value in dataclasses.astuple(point)]

"""One page's WebSocket: what it says goes to its seat, checked and at a human pace; pictures come back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from mario_world_model.playground.messages import Message, MessageError, parse_message
from mario_world_model.playground.seats import Seat, Seats

FULL: Final = 4003
IDLE: Final = 4004
ENDED: Final = 4005
_MALFORMED: Final = 1008
_LONGEST_REASON: Final = 120  # bytes; the protocol allows 123

_MESSAGES_A_SECOND: Final = 120.0
_BURST: Final = 240.0
_FIRST_WORD: Final = 10.0  # seconds within which a page has to begin


class _CloseError(Exception):
    """The connection is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Pace:
    """So many messages a second and a burst of them; who says more is read more slowly, and nobody else notices.

    What is not read waits in the sender's own socket.
    """

    def __init__(self) -> None:
        self._left = _BURST
        self._then = time.monotonic()

    async def wait(self) -> None:
        """Before reading the next message."""
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._then) * _MESSAGES_A_SECOND) - 1.0
        self._then = now
        if self._left < 0.0:
            await asyncio.sleep(-self._left / _MESSAGES_A_SECOND)


async def serve_page(websocket: WebSocket, seats: Seats, idle_seconds: float) -> None:
    """Everything from the handshake to the close."""
    await websocket.accept()
    try:
        # Nothing is started for somebody who cannot say how to begin.
        async with asyncio.timeout(_FIRST_WORD):
            first = await _receive(websocket)
        if first["type"] != "begin":
            raise _CloseError(_MALFORMED, "expected begin as the first message")
        if seats.full:
            raise _CloseError(FULL, "every seat is taken")
        async with seats.take() as seat:
            await _converse(websocket, seat, first, idle_seconds)
    except _CloseError as end:
        await _close(websocket, end.code, str(end))
    except TimeoutError:
        await _close(websocket, IDLE, "nothing was said")
    except WebSocketDisconnect:
        pass


async def _converse(websocket: WebSocket, seat: Seat, first: Message, idle_seconds: float) -> None:
    """Both directions at once, until one of them ends."""
    await seat.say(first)
    directions = [
        asyncio.create_task(_listen(websocket, seat, idle_seconds)),
        asyncio.create_task(_tell(websocket, seat)),
    ]
    try:
        done, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in done:
            direction.result()
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def _listen(websocket: WebSocket, seat: Seat, idle_seconds: float) -> None:
    pace, last = _Pace(), time.monotonic()
    while True:
        left = last + idle_seconds - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                message = await _receive(websocket)
        except TimeoutError:
            raise _CloseError(IDLE, "nobody has played for a while") from None
        if message["type"] != "ack":  # a page says that by itself
            last = time.monotonic()
        await seat.say(message)
        await pace.wait()


async def _tell(websocket: WebSocket, seat: Seat) -> None:
    while (said := await seat.hear()) is not None:
        await websocket.send_bytes(said)
    raise _CloseError(ENDED, "the session has ended")


async def _receive(websocket: WebSocket) -> Message:
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    text = received.get("text")
    try:
        return parse_message(received["bytes"] if text is None else text)
    except MessageError as error:
        raise _CloseError(_MALFORMED, str(error)) from error


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the page was faster
        await websocket.close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))

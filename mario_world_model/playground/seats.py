"""The seats of the playground: each is a process with an emulator and a world model, and there are so many."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Final

from mario_world_model.errors import InputError
from mario_world_model.playground.entry import Material, run_session
from mario_world_model.playground.messages import Message
from mario_world_model.playground.wire import unpack
from mario_world_model.utils.processes import start_method, worker_context

_PATIENCE: Final = 5.0  # seconds for a process to end by itself


class Seat:
    """One process, and the way to it. Made by `Seats.take`."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self._process = process
        self._connection = connection
        self._speaking = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    async def say(self, message: Message) -> None:
        """Pass a page's message on; waits while the process is behind."""
        await asyncio.to_thread(self._send, message)

    async def hear(self) -> bytes | None:
        """What the process has for the page; None once it has ended."""
        return await self._heard.get()

    def end(self) -> None:
        """Hang up, and see the process off. Blocks."""
        # A word may still be on its way to a process that hangs; it is not waited for.
        if self._speaking.acquire(timeout=_PATIENCE):
            self._speaking.release()
            self._send(None)
            self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._reader.join()
        self._connection.close()
        self._process.close()

    def _send(self, message: Message | None) -> None:
        with self._speaking, contextlib.suppress(OSError):
            self._connection.send(message)

    def _read(self) -> None:
        """In a thread of its own: whatever the process says is taken at once, so that it never waits for us."""
        while True:
            try:
                said = self._connection.recv_bytes()
            except (EOFError, OSError):
                said = None
            with contextlib.suppress(RuntimeError):  # the server has ended first
                self._loop.call_soon_threadsafe(self._heard.put_nowait, said)
            if said is None:
                return


class Seats:
    """So many sessions at once, and no more."""

    def __init__(self, material: Material, count: int) -> None:
        self._material = material
        self._count = count
        self._taken = 0
        self._context = _context()
        self._keeping = self._context.Lock()

    @property
    def full(self) -> bool:
        """Whether somebody has to leave before another can come."""
        return self._taken >= self._count

    @contextlib.asynccontextmanager
    async def take(self) -> AsyncIterator[Seat]:
        """A seat for as long as the block lasts; ask `full` first."""
        self._taken += 1
        try:
            seat = await self._open()
            try:
                yield seat
            finally:
                await asyncio.shield(asyncio.to_thread(seat.end))
        finally:
            self._taken -= 1

    def try_out(self) -> None:
        """Begin a session and end it: a mistake shows before anybody comes, and the next one begins at once.

        Raises:
            InputError: what a session is made of is not there or does not fit together.
        """
        process, connection = self._start()
        connection.send(None)
        try:
            said = unpack(connection.recv_bytes())[0]
        except EOFError:
            raise InputError(
                f"expected a session that can begin, found that its process ended ({self._material})"
            ) from None
        finally:
            process.join(_PATIENCE)
        if said["type"] == "refused":
            raise InputError(said["text"])

    async def _open(self) -> Seat:
        return Seat(*await asyncio.to_thread(self._start))

    def _start(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._material, self._keeping)
        process: BaseProcess = self._context.Process(target=run_session, args=arguments, daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        return process, ours


def _context() -> BaseContext:
    context = worker_context()
    if start_method() == "forkserver":
        # The server of processes has everything loaded, so that a seat is ready in a fraction of a second.
        context.set_forkserver_preload(["mario_world_model.playground.process"])
    return context

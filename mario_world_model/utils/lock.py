"""One run at a time in one place."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mario_world_model.errors import InputError

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TEMPORARY = re.compile(r"\.(\d+)\.tmp")
_POLL = 0.2  # seconds between looks at whether it is our turn


@contextlib.contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Hold `<output>.lock`, with the process id in it, as long as this lasts.

    The system gives the lock back when its owner ends in whatever way, so that a file which a killed run
    left behind binds nobody. What such a run left half-written is removed. Raises InputError, with the owner's
    process id, while another run holds it, and when the folder cannot be written.
    """
    path = output.with_name(output.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path)
        try:
            owner = _sign(descriptor)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if owner:
        print(f"{path}: left by process {owner}, which has ended; taken over", file=sys.stderr)
    try:
        _remove_leftovers(output)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


@contextlib.contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold `<path>.turn` as long as this lasts, once whoever has it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".turn").open("w") as file:
        while True:
            try:
                _take(file.fileno())
                break
            except OSError:
                time.sleep(_POLL)
        yield


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(descriptor)
        except OSError:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise InputError(
                f"{path}: expected no other run with this output, found process {owner or '(unknown)'} at it"
            ) from None
        # Its former owner may have removed the file between the two calls: then nobody else will find this lock.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _sign(descriptor: int) -> str:
    """Write this process's id into a lock; returns the former owner's, if it did not give the lock back."""
    owner = os.read(descriptor, 32).decode(errors="replace").strip()
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return owner


def _remove_leftovers(output: Path) -> None:
    """Remove temporary files of this output that a process which has ended began."""
    for path in output.parent.glob(f".{output.stem}.*.tmp*"):
        found = _TEMPORARY.search(path.name)
        if found and not _alive(int(found.group(1))):
            with contextlib.suppress(OSError):
                path.unlink()


def _alive(process: int) -> bool:
    if sys.platform == "win32":  # there, asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

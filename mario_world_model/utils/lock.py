"""One run at a time in one place."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
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


_TEMPORARY = re.compile(r"\.(\d{1,10})\.tmp")
_SIGNATURE = re.compile(rb"\d{0,10}\n?|\0*")  # zeros are what a loss of power may leave
# What the system says of a lock that another process holds, under Unix and under Windows.
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_POLL = 0.2  # seconds between looks at whether it is our turn


@contextlib.contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Hold `<output>.lock`, with the process id in it, as long as this lasts.

    The system gives the lock back when its owner ends in whatever way, so that a file which a killed run
    left behind binds nobody. What such a run left half-written is removed. Raises InputError, with the owner's
    process id, while another run holds it, when a file of that name is no lock, and when the folder cannot be written.
    """
    path = output.with_name(output.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path)
        try:
            owner = _sign(descriptor, path)
        except (OSError, InputError):
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
    descriptor = _open(path.with_name(path.name + ".turn"))
    try:
        while True:
            try:
                _take(descriptor)
                break
            except OSError as error:
                if error.errno not in _HELD:
                    raise
                time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """A lock's file; through a link a stranger's folder would have another file of ours overwritten."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)


def _open_locked(path: Path) -> int:
    while True:
        descriptor = _open(path)
        try:
            _take(descriptor)
        except OSError as error:
            if error.errno not in _HELD:
                os.close(descriptor)
                raise
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


def _sign(descriptor: int, path: Path) -> str:
    """Write this process's id into a lock; returns the former owner's, if it did not give the lock back."""
    found = os.read(descriptor, 32)
    if not _SIGNATURE.fullmatch(found):
        raise InputError(f"{path}: expected the lock of a run, or nothing there, found another file")
    owner = found.strip(b"\0\n").decode()
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return owner


def _remove_leftovers(output: Path) -> None:
    """Remove temporary files and folders of this output that a process which has ended began."""
    for path in output.parent.glob(f".{glob.escape(output.stem)}.*.tmp*"):
        found = _TEMPORARY.search(path.name)
        if found and not _alive(int(found.group(1))):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _alive(process: int) -> bool:
    if sys.platform == "win32":  # there, asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # or a number that no process has
        return False
    except PermissionError:
        return True
    return True

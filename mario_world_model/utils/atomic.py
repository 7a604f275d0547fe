"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from mario_world_model.errors import InputError
from mario_world_model.utils.storage import Address, Location


@contextlib.contextmanager
def written_whole(path: Location) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s place once the block has succeeded.

    Whatever interrupts the block, a loss of power included, leaves the former file or the new one.
    Raises InputError when the folder cannot be written, OSError when a store fails.
    """
    if isinstance(path, Address):
        with path.written() as temporary:
            yield temporary
        return
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    except SafetensorError as error:  # how that library reports a full disk
        raise InputError(f"{path}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Have the system write down which files a folder holds; a rename is not durable before."""
    if os.name != "nt":  # folders cannot be opened there
        sync(folder)


def sync(path: Path) -> None:
    """Have the system write down what is in a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Tasks as bytes for another machine, with the files that they name.

A node of a cluster need not share a disk with whoever sends it work. Every `Path` in a task that is a file here is
replaced by the hash of its content, and turns up there as a file of the same name in a folder of the process.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.hashes import file_sha256


@dataclass(frozen=True)
class Parcel:
    """A function and its task, ready to be sent."""

    content: bytes
    files: dict[str, Path]
    """The files that the task names, by the SHA-256 of their content."""


def pack(function: Callable[[Any], object], task: object) -> Parcel:
    """Pickle a task; raises InputError when its function has no name under which another process finds it."""
    buffer = io.BytesIO()
    packer = _Packer(buffer)
    packer.dump((function, task))
    return Parcel(buffer.getvalue(), packer.files)


def unpack(content: bytes, fetch: Callable[[str], bytes]) -> tuple[Callable[[Any], Any], Any]:
    """The function and the task; `fetch` gives a file by its hash and is asked once in a process."""
    function, task = _Unpacker(io.BytesIO(content), fetch).load()
    return function, task


class _Packer(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=5)
        self.files: dict[str, Path] = {}

    def persistent_id(self, thing: Any) -> tuple[str, str] | None:
        if not isinstance(thing, Path) or not thing.is_file():
            return None
        status = thing.stat()
        sha256 = _hash(thing, status.st_mtime_ns, status.st_size)
        self.files[sha256] = thing
        return sha256, thing.name

    def reducer_override(self, thing: Any) -> Any:
        """Name what belongs to the program by its module: on a node, `__main__` is something else."""
        if isinstance(thing, (type, FunctionType)) and thing.__module__ == "__main__":
            return _named, (_main_module(), thing.__qualname__)
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, fetch: Callable[[str], bytes]) -> None:
        super().__init__(buffer)
        self._fetch = fetch

    def persistent_load(self, key: Any) -> Path:
        sha256, name = key
        path = Path(_folder().name, sha256, name)
        if not path.exists():
            with written_whole(path) as temporary:
                temporary.write_bytes(self._fetch(sha256))
        return path


@functools.lru_cache(maxsize=64)
def _hash(path: Path, written: int, size: int) -> str:
    del written, size  # a file that was written again is read again
    return file_sha256(path)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """A worker's own folder, gone when it ends."""
    return tempfile.TemporaryDirectory(prefix="mario-world-model-")


def _main_module() -> str:
    spec = sys.modules["__main__"].__spec__
    if spec is None:
        raise InputError("--cluster: expected a command started as a module (python -m …), found a script")
    return spec.name.removesuffix(".__main__")


def _named(module: str, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))

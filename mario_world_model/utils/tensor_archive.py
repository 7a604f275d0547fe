"""What `torch.save` wrote, read with suspicion.

`torch.load` with `weights_only` runs no code either, but it believes what a file says of its sizes: a tensor may claim
more numbers than were stored, or a few bytes stand for gigabytes. Here every claim is held against the file.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from mario_world_model.utils.plain_pickle import RefusedError, read_plain_pickle

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# The signatures of a zip archive's last three records, and in the first and the third the size of its directory.
_TAIL = struct.Struct("<4s36xQ8x4s16x4s8xL6x")
_MOST_LISTED = 4_000_000
_CHUNK = 1_000_000
_MOST_SHARED = 4  # tensors that each number may be part of, on average; a PPO network has it in three
_MOST_PICKLE = 16_000_000  # bytes of everything but numbers


def read_tensors(path: Path) -> Any:
    """Plain values and tensors of a file that `torch.save` wrote; takes little more memory than the file's size.

    Raises an exception of whatever kind when the file is damaged, or claims or names what it must not.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        _check_directory(file, size)
        with zipfile.ZipFile(file) as archive:
            members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise RefusedError("a compressed member is not admitted")
            if sum(info.file_size for info in members.values()) > size:
                raise RefusedError("members that together are larger than the file are not admitted")
            if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
                raise RefusedError("numbers in another byte order are not admitted")
            if members["data.pkl"].file_size > _MOST_PICKLE:
                raise RefusedError("so large a table of contents is not admitted")
            pickled = archive.read(members["data.pkl"])
            storages = _Storages(lambda key: archive.open(members[f"data/{key}"]), _MOST_SHARED * size)
            return read_plain_pickle(io.BytesIO(pickled), len(pickled), storages.admitted, storages.load)


def _check_directory(file: BinaryIO, size: int) -> None:
    """The zip module reads the list of members whole: it must be short, and there be no second one."""
    file.seek(max(0, size - _TAIL.size))
    large, listed_large, locator, end, listed = _TAIL.unpack(file.read())
    # torch always writes the record for large archives too.
    if (large, locator, end) != (b"PK\x06\x06", b"PK\x06\x07", b"PK\x05\x06") or max(
        listed, listed_large
    ) > _MOST_LISTED:
        raise RefusedError("an archive of this form is not admitted")
    file.seek(0)


class _Storages:
    """Numbers of an archive by key, and the tensors that are made out of them."""

    def __init__(self, open_member: Callable[[str], IO[bytes]], most: int) -> None:
        """`most` are the bytes that all tensors together may have."""
        self._open, self._left = open_member, most
        self._loaded: dict[str, Tensor] = {}
        self.admitted: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("collections", "OrderedDict"): OrderedDict,
            **{("torch", name): _Kind(dtype) for name, dtype in _DTYPES.items()},
        }

    def load(self, pid: Any) -> Tensor:
        """The numbers behind a persistent id, flat."""
        what, kind, key, _, count = pid
        if what != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str) or type(count) is not int:
            raise RefusedError("another persistent id is not admitted")
        if key not in self._loaded:
            self._loaded[key] = self._numbers(key, kind.dtype, count)
        found = self._loaded[key]
        if found.dtype != kind.dtype or found.numel() != count:
            raise RefusedError("two readings of the same numbers are not admitted")
        return found

    def _numbers(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        with self._open(key) as member:
            size = member.seek(0, os.SEEK_END)
            member.seek(0)
            if size != count * dtype.itemsize:
                raise RefusedError(f"{count} numbers in {size} bytes are not admitted")
            # Into memory of torch's own, which is laid out as it is for numbers that were never in a file.
            numbers = torch.empty(count, dtype=dtype)
            left: Any = numbers.view(torch.uint8).numpy()
            while part := member.read(_CHUNK):  # the last one has the checksum tested
                left[: len(part)] = np.frombuffer(part, dtype=np.uint8)
                left = left[len(part) :]
        return numbers

    def _tensor(
        self, storage: Tensor, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
    ) -> Tensor:
        whole = all(type(number) is int and number >= 0 for number in (offset, *shape, *strides))
        if not isinstance(storage, Tensor) or not whole or len(shape) != len(strides) or len(shape) > 8:
            raise RefusedError("a tensor of such a shape is not admitted")
        count = math.prod(shape)
        last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
        if count and (last >= storage.numel() or count > storage.numel()):
            raise RefusedError(f"a tensor of {count} numbers out of {storage.numel()} is not admitted")
        self._left -= count * storage.element_size()
        if self._left < 0:  # a few megabytes as ten thousand tensors would keep who looks at them busy for hours
            raise RefusedError("tensors that share so much are not admitted")
        return storage.as_strided(shape, strides, offset) if count else storage.new_empty(shape)


class _Kind:
    """Stands for one of torch's classes of storages."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, *_: object) -> None:
        raise RefusedError("a call of a storage is not admitted")

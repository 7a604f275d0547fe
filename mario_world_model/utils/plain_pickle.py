"""Pickles from strangers: looked through before anything in them is built, and built out of admitted parts alone."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

_PLAIN = frozenset({
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    *("BINPERSID", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
})  # fmt: skip
_MOST_DEPTH = 32
_MOST_LETTERS = 65_536
_MOST_DIGITS = 16  # bytes of a whole number
# An opcode of one byte makes an object of sixty: more of them than this and a small file fills the memory.
_FREE_OPCODES, _BYTES_PER_OPCODE = 20_000, 64
# Those whose result holds what they take from the stack.
_NESTING = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "BINPERSID"})
_FILLING = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"})


class RefusedError(pickle.UnpicklingError):
    """A pickle that names, nests or claims what it must not."""


def read_plain_pickle(
    file: BinaryIO,
    size: int,
    admitted: Mapping[tuple[str, str], Callable[..., Any]],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Read a pickle of `size` bytes out of plain values and of what `admitted` gives for a module and a name.

    The functions in it take the place of those that are named, so that nothing of the file's choosing is ever called.
    `persistent` gives what a persistent id stands for. What comes back is a tree, and walking it takes no longer than
    reading the file. Raises UnpicklingError for anything else, and whatever the standard library and these functions
    raise on damaged bytes.
    """
    # Memory gives what it has, whatever it is asked for, and several times as fast.
    source = file if isinstance(file, io.BytesIO) else _Bounded(file, size)
    begun = file.tell()
    _look_through(source, size)
    file.seek(begun)

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in admitted:
                raise RefusedError(f"{f'{module}.{name}'!r:.160} is not admitted")
            return admitted[module, name]

        def persistent_load(self, pid: Any) -> Any:
            if persistent is None:
                raise RefusedError("a persistent id is not admitted")
            return persistent(pid)

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is done to values there is not what it was meant for
        found = Reader(source).load()
    _walk(found, _most_parts(size))
    return found


def _look_through(file: io.BytesIO | _Bounded, size: int) -> None:
    """Refuse opcodes, sizes, depths and memo entries that no file of plain values has."""
    stack: list[int] = []  # how deep each value on the unpickler's stack is nested; −1 for a mark
    memo = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):  # type: ignore[arg-type]  # all it does is read and tell
        name = opcode.name
        if name not in _PLAIN:
            raise RefusedError(f"opcode {name} is not admitted")
        if count > _most_parts(size):
            raise RefusedError(f"more than {count - 1} parts in {size} bytes are not admitted")
        if isinstance(argument, str) and len(argument) > _MOST_LETTERS:
            raise RefusedError(f"a text of {len(argument)} letters is not admitted")
        if name == "LONG1" and argument is not None and int(argument).bit_length() > 8 * _MOST_DIGITS:
            raise RefusedError(f"a number of {int(argument).bit_length()} bits is not admitted")
        if name in ("BINPUT", "LONG_BINPUT") and argument != memo:
            raise RefusedError(f"memo entry {argument} after {memo} others is not admitted")
        memo += name in ("BINPUT", "LONG_BINPUT", "MEMOIZE")
        _nest(stack, opcode)


def _most_parts(size: int) -> int:
    return _FREE_OPCODES + size // _BYTES_PER_OPCODE


def _walk(value: Any, most: int) -> None:
    """Refuse values that hold each other, or the same one over and over: few bytes can stand for billions of parts."""
    level, count = [value], 0
    for _ in range(_MOST_DEPTH + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, (dict, list, tuple)):
                count += len(one)
                if count > most:
                    raise RefusedError(f"more than {most} parts, many of them the same, are not admitted")
                below += one.values() if isinstance(one, dict) else one
        level = below
    if level:
        raise RefusedError(f"values nested more than {_MOST_DEPTH} deep are not admitted")


def _nest(stack: list[int], opcode: pickletools.OpcodeInfo) -> None:
    """Follow one opcode on a stack of depths."""
    taken: list[int] = []
    if pickletools.markobject in opcode.stack_before:
        while (depth := stack.pop()) >= 0:
            taken.append(depth)
        below = opcode.stack_before.index(pickletools.markobject)
    else:
        below = len(opcode.stack_before)
    taken += [stack.pop() for _ in range(below)]
    if opcode.name in _FILLING:
        # The container, which was taken last, gets no deeper by more of the same.
        depth = max(taken[-1], *(1 + one for one in taken[:-1]), 0)
    else:
        depth = 1 + max(taken, default=-1) if opcode.name in _NESTING else 0
    if depth > _MOST_DEPTH:
        raise RefusedError(f"values nested {depth} deep are not admitted")
    stack += [-1 if one is pickletools.markobject else depth for one in opcode.stack_after]


class _Bounded:
    """A file that is never asked for more than it holds, whatever a length in it claims."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._end = file.tell() + size

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if count < 0 else min(count, left))

    def readline(self) -> bytes:
        return self._file.readline(min(1024, max(0, self._end - self._file.tell())))

    def tell(self) -> int:
        return self._file.tell()

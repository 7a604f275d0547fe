"""A data set as one pickled file, written without holding it in memory and read without trusting it."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import reprlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode import SCHEMA, Episode, check_content, check_episode, info_from_plain
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.plain_pickle import RefusedError, read_plain_pickle

_KIND = "mario-rollouts"


class _Stream:
    """Pickles as a list whose items are made one at a time."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __reduce__(self) -> tuple[type[list[Any]], tuple[()], None, Iterator[Any]]:
        return list, (), None, iter(self._items)


class _DType:
    """Stands for numpy's dtype, which is told its byte order when it is there already."""

    def __init__(self, text: str, align: bool = False, copy: bool = True) -> None:
        del align, copy
        if text not in _DTYPES:
            raise RefusedError(f"dtype {text!r:.20} is not admitted")
        self.itself = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 3 or state[1] not in ("<", "|") or any(part is not None for part in state[2:5]):
            raise RefusedError("a dtype with fields is not admitted")


class _Array:
    """Stands for numpy's array, made from a buffer that it has to fill (protocol 5) or empty, to be filled."""

    def __init__(self, *_: object) -> None:
        self.itself: NDArray[Any] = np.empty(0, np.uint8)

    @staticmethod
    def over(buffer: bytes | bytearray, dtype: _DType, shape: tuple[int, ...], order: str) -> _Array:
        if not isinstance(buffer, (bytes, bytearray)) or not isinstance(dtype, _DType) or order != "C":
            raise RefusedError("an array of something else than bytes is not admitted")
        if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
            raise RefusedError("an array of such a shape is not admitted")
        array = _Array()
        array.itself = np.frombuffer(buffer, dtype=dtype.itself).reshape(shape)
        return array

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, buffer = state
        self.itself = _Array.over(buffer, dtype, shape, "F" if fortran else "C").itself


_DTYPES = ("u1", "i2", "f4")
# What a pickle of plain containers and numpy arrays names, under NumPy 1 and 2.
_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "list"): list,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Array.over for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
}


def write_pickle(path: Path, episodes: Iterable[Episode]) -> None:
    """Write episodes as one pickle: a dict of plain values and numpy arrays that `pickle.load` reads too."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        pickler = pickle.Pickler(file, protocol=5)
        # Without the memo a written episode can be freed; nothing in a data set is shared.
        pickler.fast = True
        pickler.dump({"kind": _KIND, "schema": SCHEMA, "episodes": _Stream(map(_to_plain, episodes))})


def read_pickle(path: Path) -> list[Callable[[], Episode]]:
    """Read a data set into memory; each of these gives one of its episodes, or raises InputError if it is damaged.

    Raises InputError when the file is damaged, is something else, or names code to run.
    """
    try:
        with path.open("rb") as file:
            content = read_plain_pickle(file, path.stat().st_size, _ADMITTED)
    except Exception as error:  # bytes that are made to break a parser break it in any way
        raise InputError(
            f"{path}: expected a pickled data set, found another or a damaged file ({error!s:.200})"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise InputError(f"{path}: expected a pickled data set of this project, found another pickle")
    if content.get("schema") != SCHEMA or not isinstance(content.get("episodes"), list):
        raise InputError(f"{path}: expected data-set schema {SCHEMA}, found {reprlib.repr(content.get('schema'))}")
    return [
        functools.partial(_from_plain, plain, f"{path}, episode {number}")
        for number, plain in enumerate(content["episodes"])
    ]


def _to_plain(episode: Episode) -> dict[str, Any]:
    info = {**dataclasses.asdict(episode.info), "truth_fields": list(episode.info.truth_fields)}
    return {**episode.arrays(), "info": info}


def _from_plain(plain: Any, where: str) -> Episode:
    if not isinstance(plain, dict):
        raise InputError(f"{where}: expected a dict, found {type(plain).__name__}")
    for name in ("frames", "actions", "rewards", "truth"):
        if not isinstance(plain.get(name), _Array):
            raise InputError(f"{where}: {name}: expected an array, found {type(plain.get(name)).__name__}")
    episode = Episode(
        frames=plain["frames"].itself,
        actions=plain["actions"].itself,
        rewards=plain["rewards"].itself,
        truth=plain["truth"].itself,
        info=info_from_plain(plain.get("info"), where),
    )
    return check_content(check_episode(episode, where), where)

"""A data set as one pickled file, written without holding it in memory and read without trusting it."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode import SCHEMA, Episode, check_episode, info_from_plain
from mario_world_model.utils.atomic import written_whole

_KIND = "mario-rollouts"

# What a pickle of plain containers and numpy arrays needs to name, under NumPy 1 and 2.
_ADMITTED = {
    ("builtins", "list"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}


class _Stream:
    """Pickles as a list whose items are made one at a time."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __reduce__(self) -> tuple[type[list[Any]], tuple[()], None, Iterator[Any]]:
        return list, (), None, iter(self._items)


class _PlainUnpickler(pickle.Unpickler):
    """Admits numpy arrays and plain values; anything that could run code is refused by name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return super().find_class(module, name)


def write_pickle(path: Path, episodes: Iterable[Episode]) -> None:
    """Write episodes as one pickle: a dict of plain values and numpy arrays that `pickle.load` reads too."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        pickler = pickle.Pickler(file, protocol=5)
        # Without the memo a written episode can be freed; nothing in a data set is shared.
        pickler.fast = True
        pickler.dump({"kind": _KIND, "schema": SCHEMA, "episodes": _Stream(map(_to_plain, episodes))})


def read_pickle(path: Path) -> list[Episode]:
    """Read a data set into memory.

    Raises InputError when the file is damaged, is something else, or names code to run.
    """
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file).load()
    except (
        pickle.UnpicklingError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise InputError(f"{path}: expected a pickled data set, found another or a damaged file ({error})") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise InputError(f"{path}: expected a pickled data set of this project, found another pickle")
    if content.get("schema") != SCHEMA or not isinstance(content.get("episodes"), list):
        raise InputError(f"{path}: expected data-set schema {SCHEMA}, found {content.get('schema')!r}")
    return [_from_plain(plain, f"{path}, episode {number}") for number, plain in enumerate(content["episodes"])]


def _to_plain(episode: Episode) -> dict[str, Any]:
    info = {**dataclasses.asdict(episode.info), "truth_fields": list(episode.info.truth_fields)}
    return {**episode.arrays(), "info": info}


def _from_plain(plain: Any, where: str) -> Episode:
    if not isinstance(plain, dict):
        raise InputError(f"{where}: expected a dict, found {type(plain).__name__}")
    for name in ("frames", "actions", "rewards", "truth"):
        if not isinstance(plain.get(name), np.ndarray):
            raise InputError(f"{where}: {name}: expected an array, found {type(plain.get(name)).__name__}")
    episode = Episode(
        frames=plain["frames"],
        actions=plain["actions"],
        rewards=plain["rewards"],
        truth=plain["truth"],
        info=info_from_plain(plain.get("info"), where),
    )
    return check_episode(episode, where)

"""Places that exploration has reached, as states of the game to go on from (Go-Explore, Ecoffet et al. 2021)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.storage import Location, here

Cell = tuple[int, int, int]
"""World, stage, and the `CELL_WIDTH` pixels of the level that Mario is in."""

_SCHEMA = "1"
CELL_WIDTH = 32


def cell_of(world: int, stage: int, x: int) -> Cell:
    """The cell of a position `x`, pixels from the start of the level."""
    return int(world), int(stage), int(x) // CELL_WIDTH


@dataclass
class Archive:
    """One state per cell, the latest: a doomed one, over a pit, is soon replaced by another."""

    states: dict[Cell, bytes] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, elsewhere: float) -> bytes | None:
        """With probability `elsewhere` a state, every cell equally likely; else None, for the start of the level."""
        if not self.states or rng.random() < 1.0 - elsewhere:
            return None
        cells = sorted(self.states)
        return self.states[cells[int(rng.integers(len(cells)))]]

    def add(self, found: dict[Cell, bytes]) -> None:
        """Keep the states of an episode."""
        self.states.update(found)


def write_archive(path: Location, archive: Archive, episodes: int) -> None:
    """Write the archive as it is after `episodes` episodes, whole or not at all."""
    tensors = {json.dumps(cell): np.frombuffer(state, np.uint8) for cell, state in archive.states.items()}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata={"schema": _SCHEMA, "episodes": str(episodes)})


def read_archive(path: Location) -> tuple[Archive, int]:
    """What `write_archive` wrote; an empty archive after no episodes where there is no such file.

    Raises InputError when the file is damaged.
    """
    if not path.is_file():
        return Archive(), 0
    try:
        with here(path) as copy:
            file = safe_open(copy, framework="numpy")
            metadata = file.metadata() or {}
            if metadata.get("schema") != _SCHEMA:
                raise InputError(f"{path}: expected an archive of schema {_SCHEMA}, found {metadata.get('schema')!r}")
            cells = {_cell(key): file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118
            return Archive(cells), int(metadata["episodes"])
    except InputError:
        raise
    except Exception as error:  # bytes that are made to break a parser break it in any way
        raise InputError(
            f"{path}: expected the archive of an exploration, found a damaged file ({error!s:.200})"
        ) from error


def _cell(key: str) -> Cell:
    world, stage, place = json.loads(key)
    if not all(type(number) is int for number in (world, stage, place)):
        raise ValueError(f"cell {key!r:.80}")
    return world, stage, place

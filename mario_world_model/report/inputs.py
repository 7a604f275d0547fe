"""Everything in the folders and files a report is asked for: evaluations, probes, and logs of training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_world_model.errors import InputError
from mario_world_model.evaluation.record import Record, read_record

_LARGEST = 100_000_000  # bytes of a JSON file


@dataclass(frozen=True)
class Log:
    """The scalars of one training of one stage."""

    stage: str
    seed: int | None
    rows: list[dict[str, float]]

    def curve(self, tag: str, over: str = "step") -> tuple[list[float], list[float]]:
        """The figures of a tag, and the steps, or another tag's figures, they belong to."""
        rows = [row for row in self.rows if tag in row and over in row]
        return [row[over] for row in rows], [row[tag] for row in rows]


@dataclass(frozen=True)
class Inputs:
    """What was found."""

    records: list[Record]
    probes: list[tuple[str, dict[str, Any]]]
    """Name of the file, and what `probe` wrote in it."""
    logs: list[Log]


def gather(places: Sequence[Path]) -> Inputs:
    """Read all that can be reported; files of other kinds are passed over in folders.

    Raises InputError when a place does not exist, a named file is of another kind, or no evaluation is found.
    """
    if not places:
        raise InputError("expected files or folders of evaluations, found none")
    found = Inputs([], [], [])
    for place in places:
        if place.is_file():
            if not _take(place, found):
                raise InputError(f"{place}: expected an evaluation, a probe or a scalars.jsonl, found something else")
        elif place.is_dir():
            for file in _files(place):
                _take(file, found)
        else:
            raise InputError(f"{place}: expected a file or a folder of evaluations, found none")
    if not found.records:
        raise InputError(
            f"{', '.join(map(str, places))}: expected the output of evaluate --output, found no such file in it"
        )
    return found


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*.json*") if path.suffix in (".json", ".jsonl"))


def _take(file: Path, found: Inputs) -> bool:
    if file.name == "scalars.jsonl":
        found.logs.append(_log(file))
        return True
    if file.suffix != ".json" or file.stat().st_size > _LARGEST:
        return False
    try:
        plain = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: expected JSON, found a damaged file") from error
    if not isinstance(plain, dict):
        return False
    if plain.get("record") == "evaluation":
        found.records.append(read_record(file, plain))
        return True
    if {"open_loop", "drift", "latents"} <= set(plain):
        found.probes.append((file.stem, plain))
        return True
    return False


def _log(file: Path) -> Log:
    """A log in <stage>/<time>/scalars.jsonl; a last line that is not whole is left out."""
    rows = []
    for line in file.read_text().splitlines():
        try:
            row = json.loads(line)
            rows.append({name: float(value) for name, value in row.items()})
        except (ValueError, TypeError, AttributeError):
            break
    seed = None
    config = file.with_name("config.json")
    if config.is_file():
        try:
            seed = int(json.loads(config.read_text())["seed"])
        except (ValueError, KeyError, TypeError):
            seed = None
    return Log(file.parent.parent.name, seed, rows)

"""Which stages of a whole run are done, and what they gave."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mario_world_model.errors import InputError
from mario_world_model.training.figures import Figures, figures_from_plain
from mario_world_model.utils.atomic import written_whole

_SCHEMA = 1


class Journal:
    """The file `progress.json` in the folder of a run, written whole after every stage."""

    def __init__(self, folder: Path, settings: dict[str, Any], resume: bool) -> None:
        """Read the journal of an interrupted run, or begin one.

        Raises InputError when the interrupted run had other settings; one that has finished is replaced then.
        """
        self._file = folder / "progress.json"
        self._content: dict[str, Any] = {"schema": _SCHEMA, "settings": settings, "finished": False, "stages": {}}
        if not self._file.is_file():
            return
        if not resume:
            print(f"{folder}: starting over", file=sys.stderr)
            for state in folder.rglob("*.resume"):
                state.unlink()
            self._file.unlink()
            return
        found = self._read()
        differing = [name for name in sorted(settings) if found["settings"].get(name) != settings[name]]
        if not differing:
            self._content = found
        elif not found["finished"]:
            raise InputError(
                f"{folder}: expected the interrupted run of this command, found one with another {differing[0]} "
                f"({found['settings'].get(differing[0])}, here {settings[differing[0]]}); go on with its flags, or "
                "start over with --no-resume"
            )

    @property
    def finished(self) -> bool:
        """Whether the whole run is done."""
        return bool(self._content["finished"])

    @property
    def seconds(self) -> float:
        """What the stages so far have taken, without their interruptions."""
        return sum(self.seconds_of(name) for name in self._content["stages"])

    def seconds_of(self, name: str) -> float:
        return float(self._content["stages"][name]["seconds"])

    def stage(self, name: str, figures: type[Figures], work: Callable[[], Figures]) -> Figures:
        """Do a stage and note what it gave, or give what was noted."""
        stages = self._content["stages"]
        if name not in stages:
            begun = time.monotonic()
            given = work()
            assert dataclasses.is_dataclass(given)
            assert not isinstance(given, type)
            stages[name] = {"figures": dataclasses.asdict(given), "seconds": time.monotonic() - begun}
            self._write()
        try:
            return figures_from_plain(figures, stages[name]["figures"])
        except ValueError as error:
            raise _damaged(self._file) from error

    def finish(self) -> None:
        """Note that there is nothing left to do."""
        self._content["finished"] = True
        self._write()

    def _write(self) -> None:
        with written_whole(self._file) as temporary:
            temporary.write_text(json.dumps(self._content, indent=2) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text())
            for stage in found["stages"].values():
                if type(stage["seconds"]) is not float or not isinstance(stage["figures"], dict):
                    raise ValueError(stage)
            if found["schema"] == _SCHEMA and isinstance(found["settings"], dict) and type(found["finished"]) is bool:
                return found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise _damaged(self._file)


def _damaged(file: Path) -> InputError:
    return InputError(f"{file}: expected the journal of a run, found a damaged one; --no-resume starts over")

"""What an evaluation that is broken off leaves, and the same command goes on from."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from mario_world_model.config import to_plain
from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole

_SCHEMA = 1


_Episode = TypeVar("_Episode")  # a dataclass of plain values


class Unfinished(Generic[_Episode]):
    """The episodes that were played, one a line in `<output>.partial`; in memory alone without an output.

    Every line is there once its episode has ended, so that a kill costs those being played. The number of episodes
    is no part of what tells one evaluation from another: each depends on its seed and index alone. Where fewer
    are asked for than were played, all stay here.
    """

    def __init__(
        self, output: Path | None, settings: dict[str, Any], resume: bool, from_plain: Callable[[Any], _Episode]
    ) -> None:
        """Read what is there, or begin; `settings` are plain values, all that an episode depends on, and `from_plain`
        makes an episode of its fields, or raises KeyError, TypeError or ValueError.

        Raises InputError when it is of an evaluation with other settings, or damaged.
        """
        self.episodes: list[_Episode] = []
        self._from_plain = from_plain
        self._file = None if output is None else partial_file(output)
        self._earlier = 0.0
        self._begun = time.monotonic()
        if self._file is None:
            return
        if resume and self._file.is_file() and not self._file.is_symlink():
            self._read(self._file, settings)
        else:
            _write(self._file, json.dumps({"schema": _SCHEMA, "settings": settings}) + "\n")

    @property
    def seconds(self) -> float:
        """What the episodes have taken so far, those before an interruption included."""
        return self._earlier + time.monotonic() - self._begun

    def add(self, episode: _Episode) -> None:
        """Keep an episode."""
        self.episodes.append(episode)
        if self._file is not None:
            line = json.dumps({"seconds": round(self.seconds, 1), "episode": to_plain(episode)})
            with self._file.open("a") as file:
                file.write(line + "\n")

    def forget(self) -> None:
        """All of it is in the record."""
        if self._file is not None:
            self._file.unlink()

    def _read(self, path: Path, settings: dict[str, Any]) -> None:
        whole, newline, torn = path.read_text(errors="replace").rpartition("\n")
        try:
            head, *lines = [json.loads(line) for line in whole.split("\n")]
            found = dict(head["settings"])
            if head["schema"] != _SCHEMA:
                raise ValueError(head["schema"])
            for line in lines:
                self._earlier = float(line["seconds"])
                self.episodes.append(self._from_plain(line["episode"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: expected the episodes of an interrupted evaluation, found a damaged file; "
                "--no-resume starts over"
            ) from error
        # Plain values as a file gives them back.
        own = json.loads(json.dumps(settings))
        differing = [name for name in sorted(own | found) if own.get(name) != found.get(name)]
        if differing:
            raise InputError(
                f"{path}: expected the interrupted evaluation of this command, found one with another {differing[0]}; "
                "go on with its flags, or start over with --no-resume"
            )
        if torn:  # by a kill in the middle of a line
            _write(path, whole + newline)
        print(f"{path}: {len(self.episodes)} episodes are there already", file=sys.stderr)


def _write(path: Path, text: str) -> None:
    """In the place of what is there, a link included: what that leads to is somebody else's."""
    with written_whole(path) as temporary:
        temporary.write_text(text)


def partial_file(output: Path) -> Path:
    """Where the episodes of an unfinished evaluation with this output are."""
    return output.with_name(output.name + ".partial")

"""Where finished episodes wait for the others of a collection, and how they become a data set.

Beside the output, in <output>.partial, stands a note of which collection it is, so that whatever interrupts it the same
command goes on. `gather_in_folder` and `gather_in_store` have what differs between the two kinds of places.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mario_world_model.config import CollectConfig
from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode_file import SUFFIX
from mario_world_model.training.resume import settings_of
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.cost import Cost
from mario_world_model.utils.hashes import file_sha256
from mario_world_model.utils.storage import Location

_SCHEMA = 1
_NOTE = "collection.json"
_NOTE_TIME = 10.0  # seconds between two notes of how long a collection has taken


class Gathering(ABC):
    """The episodes of one collection, until they are a data set."""

    def __init__(self, config: CollectConfig, folder: Location) -> None:
        self._config = config
        self.folder = folder
        self.earlier: list[float | None] = []
        """Core-hours of what it adds to."""
        self._note = folder / _NOTE
        self._begun = self._noted = time.monotonic()

    @property
    def begun(self) -> bool:
        """Whether a collection was interrupted."""
        return self._note.is_file()

    @property
    def reached(self) -> Location:
        """Below it, what exploring episodes leave for the archive."""
        return self._own / "reached"

    @property
    def archive(self) -> Location:
        """Of an exploration, as it was last put together."""
        return self._own / f"archive{SUFFIX}"

    @property
    @abstractmethod
    def lock(self) -> Path:
        """What to hold the lock of, so that no other process of this machine is at it."""

    @property
    @abstractmethod
    def _own(self) -> Location:
        """Where this collection's files are."""

    @property
    @abstractmethod
    def waiting(self) -> bool:
        """Whether the data set is still to be made."""

    @abstractmethod
    def check_output(self) -> None:
        """Refuse an output that holds anything but a data set: the new one would take its place."""

    @abstractmethod
    def finished_before(self) -> bool:
        """Whether this very collection is what the output holds."""

    @abstractmethod
    def begin(self) -> int:
        """Begin, or go on; returns the index of the first episode, which an interrupted collection knows.

        Raises InputError when that was another collection, or nothing can be written.
        """

    @abstractmethod
    def file(self, index: int) -> Location:
        """Where an episode belongs."""

    @abstractmethod
    def there(self) -> set[str]:
        """Names of the episodes that need not be played any more."""

    @abstractmethod
    def mark(self) -> Location:
        """Something of a name that is nowhere else: who sees it, on whatever machine, can write here."""

    @abstractmethod
    def forget_reached(self) -> None:
        """Remove what exploring episodes have left: the archive has it."""

    @abstractmethod
    def finish(self, spent: Cost, explored: bool) -> None:
        """Turn the episodes into the data set and forget the collection; wherever this breaks off it can go on.

        The archive of one that `explored` stays beside the data set.
        """

    @abstractmethod
    def remove(self) -> None:
        """Forget the collection."""

    @abstractmethod
    def check_sole(self) -> None:
        """Raise InputError if another process has taken the collection over."""

    @property
    def seconds(self) -> float:
        """That its episodes have taken, as noted last.

        Raises InputError where the note is damaged.
        """
        if not self._clock.is_file():
            return 0.0
        try:
            return float(self._clock.read_text())
        except ValueError as error:
            raise InputError(f"{self._clock}: expected seconds, found a damaged note") from error

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """While this lasts episodes are played."""
        self._noted = time.monotonic()
        self._begun = self._noted - self.seconds
        try:
            yield
        finally:
            self._write_time()

    def note_time(self) -> None:
        """Write down from time to time how long it has taken, for whoever goes on after a loss of power."""
        if time.monotonic() - self._noted > _NOTE_TIME:
            self.check_sole()
            self._write_time()

    def give_up(self) -> None:
        """Start over."""
        if self.begun:
            print(f"{self.folder}: given up; starting over", file=sys.stderr)
            self.remove()

    @property
    def _clock(self) -> Location:
        return self._own / "seconds"

    def _write_time(self) -> None:
        self._noted = time.monotonic()
        with written_whole(self._clock) as temporary:
            temporary.write_text(str(self._noted - self._begun))

    def _same_collection(self) -> dict[str, Any]:
        """What the note says; raises InputError when it is of another collection."""
        try:
            found = json.loads(self._note.read_text())
            first, settings = int(found["first"]), dict(found["settings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self._note}: expected the note of a collection, found a damaged one") from error
        own = json.loads(note_of(self._config, first))["settings"]
        differing = [name for name in sorted(own | settings) if own.get(name) != settings.get(name)]
        if differing:
            raise InputError(
                f"{self.folder}: expected the beginning of this collection, found one with another "
                f"{differing[0]}; go on with its flags, or start over with --no-resume"
            )
        return dict(found)


def note_of(config: CollectConfig, first: int, **more: str) -> str:
    """What tells one collection from another: its settings, and the index of its first episode."""
    return json.dumps({"schema": _SCHEMA, "settings": identity_of(config), "first": first, **more}, indent=2) + "\n"


def identity_of(config: CollectConfig) -> dict[str, Any]:
    """The settings of a collection, and the content of the files that its agent is read from."""
    agent = [path for path in (Path(config.policy), config.vae, config.mdnrnn) if path is not None and path.is_file()]
    return {**settings_of(config), "policy": config.policy if not agent else [file_sha256(path) for path in agent]}


def record_of(config: CollectConfig, fingerprint: str, spent: Cost) -> dict[str, Any]:
    """What is noted of a collection that has finished."""
    return {"settings": identity_of(config), "fingerprint": fingerprint, "cost": dataclasses.asdict(spent)}


def collection_waits(output: Location) -> bool:
    """Whether a collection into this data set was broken off."""
    return (output.with_name(output.name + ".partial") / _NOTE).is_file()

"""A collection into an object store, where nothing can be moved and nothing can be locked.

Episodes are written where they stay, under names that bear a tag of their collection, and are no part of the data set
until its list (`rollouts.manifest`) names them.
"""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path
from typing import Any

from mario_world_model.config import CollectConfig
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.rollouts.archive import Archive, read_archive, write_archive
from mario_world_model.rollouts.episode_file import SUFFIX
from mario_world_model.rollouts.manifest import (
    MANIFEST,
    Manifest,
    controls_of,
    episode_name,
    is_episode,
    list_episodes,
    read_manifest,
    tag_of,
    write_manifest,
)
from mario_world_model.rollouts.mirror import mirror_of
from mario_world_model.training.gathering import Gathering, identity_of, note_of, record_of
from mario_world_model.utils.cost import Cost, cost_from_plain, hours
from mario_world_model.utils.storage import Address


class StoreGathering(Gathering):
    """Two commands cannot begin two collections at once, since a note can be created but once; it is removed last.

    Of two machines at the same collection the later one has it, and the earlier one ends. What both write in the
    meantime is the same.
    """

    def __init__(self, config: CollectConfig, output: Address) -> None:
        self._place = output.with_name(output.name + ".partial")
        super().__init__(config, self._place)
        self._output = output
        self._kept_archive = output.with_name(f"{output.name}.archive{SUFFIX}")
        self._tag, self._me = "", uuid.uuid4().hex

    @property
    def lock(self) -> Path:
        return mirror_of(self._output)

    @property
    def _own(self) -> Address:
        return self._place / self._tag

    @property
    def waiting(self) -> bool:
        found = read_manifest(self._output)
        return found is None or all(episode.tag != self._tag for episode in found.episodes)

    def check_output(self) -> None:
        if self._output.suffix == ".pkl":
            raise InputError(f"{self._output}: expected a folder of episodes in a store, found the name of a file")
        strangers = [name for name in self._output.names() if not (is_episode(name) or name == MANIFEST)]
        if strangers:
            raise InputError(f"{self._output}: expected a data set or nothing there, found {strangers[0]} in it")

    def finished_before(self) -> bool:
        found = read_manifest(self._output)
        return found is not None and found.finished.get("settings") == identity_of(self._config)

    def begin(self) -> int:
        note = self._first_note()
        self._tag = str(note.get("tag"))
        if not is_episode(episode_name(0, self._tag)):
            raise InputError(f"{self._note}: expected the note of a collection, found a damaged one")
        self._owner.write_text(self._me)
        places = read_archive(self._kept_archive)[0] if self._config.append else Archive()
        if places.states and not self.archive.is_file():
            write_archive(self.archive, places, 0)
        self._sweep()
        return int(note["first"])

    def _first_note(self) -> dict[str, Any]:
        """The note that stands there: an interrupted collection's, or a new one."""
        while True:
            old = self._added_to()
            first = 1 + max(episode.index for episode in old.episodes) if old else 0
            self.earlier = [hours(cost_from_plain(old.finished.get("cost")))] if old else []
            tag = uuid.uuid4().hex[:8]
            (self._place / self._note.name).create(note_of(self._config, first, tag=tag))
            note = self._same_collection()
            if note.get("tag") != tag or self._added_to() == old:
                return note
            self._note.unlink()  # just before it, another collection ended: ours begins after that one's episodes

    def _added_to(self) -> Manifest | None:
        """The data set to which this collection adds; raises InputError where its episodes are of another kind."""
        old = read_manifest(self._output) if self._config.append else None
        for field, own in self._controls.items():
            if old is not None and old.controls.get(field) != own:
                raise InputError(
                    f"{self._output}: expected one {field} in a data set, found {old.controls.get(field)!r} there, "
                    f"not {own!r}"
                )
        return old

    def file(self, index: int) -> Address:
        return self._output / episode_name(index, self._tag)

    def there(self) -> set[str]:
        return {name for name in self._output.names() if self._is_own(name)}

    def mark(self) -> Address:
        marker = self._own / f"here-{uuid.uuid4().hex}"
        marker.write_text("")
        return marker

    def forget_reached(self) -> None:
        (self._own / "reached").remove_below()

    def check_sole(self) -> None:
        try:
            owner = self._owner.read_text()
        except FileNotFoundError:
            owner = ""
        if owner != self._me:
            raise InputError(f"{self.folder}: expected to be alone at this collection, found another process at it")

    def finish(self, spent: Cost, explored: bool) -> None:
        self.check_sole()
        if self.waiting:
            self._list(spent)
        if self.archive.is_file():
            write_archive(self._kept_archive, *read_archive(self.archive))
        elif not (explored or self._config.append):
            self._kept_archive.unlink(missing_ok=True)
        self._sweep()
        self._own.remove_below()
        self.remove()

    def remove(self) -> None:
        # What else there is of it `_sweep` removes, of whatever collection comes next.
        self._note.unlink()

    def _list(self, spent: Cost) -> None:
        """Make the data set of what was there before and of this collection."""
        new = list_episodes(self._output, self._tag)
        if len(new) != self._config.episodes:
            raise InputError(
                f"{self._output}: expected {self._config.episodes} episodes of this collection, found {len(new)}"
            )
        old = self._added_to()
        manifest = Manifest(self._controls, (*(old.episodes if old else ()), *new), {})
        record = record_of(self._config, manifest.fingerprint, spent)
        write_manifest(self._output, dataclasses.replace(manifest, finished=record))

    def _sweep(self) -> None:
        """Remove what is neither the data set's nor this collection's."""
        found = read_manifest(self._output)
        kept = {episode.name for episode in found.episodes} if found else set()
        left = [name for name in self._output.names() if is_episode(name) and not (name in kept or self._is_own(name))]
        self._output.remove(left)
        for name in self._place.names():
            if name not in (self._tag, self._note.name):
                (self._place / name).remove_below()

    def _is_own(self, name: str) -> bool:
        return is_episode(name) and tag_of(name) == self._tag

    @property
    def _owner(self) -> Address:
        return self._own / "owner"

    @property
    def _controls(self) -> dict[str, Any]:
        game = self._config.game
        return controls_of(game.actions, game.frame_skip, self._config.screen.view().mask_hud, TRUTH_FIELDS)

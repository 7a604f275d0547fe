"""A collection into a folder of this machine, or one that several machines share, or into a .pkl file.

Episodes wait in <output>.partial/episodes and are moved when they are complete.
"""

from __future__ import annotations

import itertools
import json
import shutil
import uuid
from pathlib import Path

from mario_world_model.config import CollectConfig
from mario_world_model.errors import InputError
from mario_world_model.rollouts.archive import Archive, read_archive, write_archive
from mario_world_model.rollouts.dataset import episode_files, open_dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.episode_file import SUFFIX, read_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.training.gathering import Gathering, identity_of, note_of, record_of
from mario_world_model.utils.atomic import sync_folder, written_whole
from mario_world_model.utils.cost import Cost, cost_of_data, hours
from mario_world_model.utils.tracking import config_file, save_config

_REPLACED = "replaced"


class FolderGathering(Gathering):
    """The folder beside the output in which finished episodes wait for the others.

    The note is removed first, so that a folder without one is of no collection. Once the episodes have become the data
    set, the note stands there alone.
    """

    def __init__(self, config: CollectConfig, output: Path) -> None:
        # In full, because a node of a cluster may be at work in another folder.
        self._folder = output.with_name(output.name + ".partial").absolute()
        super().__init__(config, self._folder)
        self._output = output
        self._kept_archive = output.with_name(f"{output.name}.archive{SUFFIX}")
        self._episodes = self._folder / "episodes"
        self._before: list[Episode] = []

    @property
    def lock(self) -> Path:
        return self._output

    @property
    def _own(self) -> Path:
        return self._folder

    @property
    def waiting(self) -> bool:
        return self._episodes.is_dir()

    def check_output(self) -> None:
        output = self._output
        if output.is_dir():
            if output.suffix == ".pkl":
                raise InputError(f"{output}: expected a file or nothing there, found a folder")
            strangers = sorted(set(output.iterdir()) - set(episode_files(output)))
            if strangers:
                raise InputError(f"{output}: expected a data set or nothing there, found {strangers[0].name} in it")
        elif output.is_file() and output.suffix != ".pkl":
            raise InputError(f"{output}: expected a folder or nothing there, found a file")

    def finished_before(self) -> bool:
        try:
            record = json.loads(config_file(self._output).read_text())["finished"]
            same = bool(record["settings"] == identity_of(self._config))
            return same and bool(record["fingerprint"] == open_dataset(self._output).fingerprint)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError):
            return False  # there is no record of one

    def begin(self) -> int:
        if self._config.append and self._output.exists():
            old = open_dataset(self._output)
            self.earlier = [hours(cost_of_data(old.path, old.fingerprint))]
            self._before = list(old.episodes)
        first = self._open(1 + max((episode.info.index for episode in self._before), default=-1))
        self._before = [episode for episode in self._before if episode.info.index < first]
        return first

    def _open(self, first: int) -> int:
        if self.begun:
            return int(self._same_collection()["first"])
        self._refuse_strangers()
        places = read_archive(self._kept_archive)[0] if self._config.append else Archive()
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._episodes.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from error
        if places.states:
            write_archive(self.archive, places, 0)
        with written_whole(self._note) as temporary:
            temporary.write_text(note_of(self._config, first))
        return first

    def _refuse_strangers(self) -> None:
        """A folder without a note is what a finished collection did not get to remove, or somebody's own."""
        own = {self._episodes.name, self.reached.name, self.archive.name, self._clock.name, _REPLACED}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
            if path.name not in own and not path.name.startswith((".", "here-")):
                raise InputError(f"{self._folder}: expected an interrupted collection, found {path.name} in it")

    def file(self, index: int) -> Path:
        return self._episodes / f"episode-{index:06d}{SUFFIX}"

    def there(self) -> set[str]:
        # Those that an interrupted end has moved already are in the data set.
        moved = episode_files(self._output) if self._before else []
        return {file.name for file in [*episode_files(self._episodes), *moved]}

    def mark(self) -> Path:
        marker = self._folder / f"here-{uuid.uuid4().hex}"
        marker.mkdir()
        return marker

    def forget_reached(self) -> None:
        shutil.rmtree(self._folder / "reached")

    def check_sole(self) -> None:
        """The lock sees to it."""

    def finish(self, spent: Cost, explored: bool) -> None:
        output = self._output
        if self.waiting:
            for leftover in self._episodes.glob(".*"):  # of a worker that was killed while it wrote
                leftover.unlink()
            files = episode_files(self._episodes)
            if output.suffix == ".pkl":
                write_pickle(output, itertools.chain(self._before, map(read_episode, files)))
            elif self._before:
                for file in files:
                    file.replace(output / file.name)
                sync_folder(output)
            else:
                if output.is_dir():
                    output.replace(self._folder / _REPLACED)
                self._episodes.replace(output)
                sync_folder(output.parent)
        self._keep_archive(explored)
        save_config(output, self._config, finished=record_of(self._config, open_dataset(output).fingerprint, spent))
        self.remove()

    def _keep_archive(self, explored: bool) -> None:
        """Leave the places that were reached beside the data set, or none of one that it replaced."""
        archive = self._folder / self.archive.name
        if archive.is_file():
            # Copied: it also says that nothing is left to play, to whoever goes on should this break off.
            with written_whole(self._kept_archive) as temporary:
                shutil.copyfile(archive, temporary)
        elif not (explored or self._config.append):
            self._kept_archive.unlink(missing_ok=True)

    def remove(self) -> None:
        self._note.unlink()
        shutil.rmtree(self._folder)

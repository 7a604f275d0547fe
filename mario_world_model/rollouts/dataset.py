"""A data set: episodes, whichever of the two forms they are stored in."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mario_world_model.config import ActionSet, ViewConfig
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.episode_file import SUFFIX, read_sound
from mario_world_model.rollouts.mirror import mirrored
from mario_world_model.rollouts.pickle_file import read_pickle
from mario_world_model.utils.seeding import stream
from mario_world_model.utils.storage import Address, Location

# Of every ten episodes one is held out; the stream keeps a data set's split when it grows.
_HELD_OUT_SHARE = 0.1
_SPLIT_STREAM = 7001


@dataclass(frozen=True)
class Dataset:
    """Episodes that were played under the same controls."""

    path: Path
    """Where it is, or its copy, if it is in a store."""
    episodes: Sequence[Episode]

    @property
    def steps(self) -> int:
        return sum(len(episode) for episode in self.episodes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the episodes' own hashes."""
        return hashlib.sha256("".join(episode.info.sha256 for episode in self.episodes).encode()).hexdigest()

    @property
    def controls(self) -> Controls:
        info = self.episodes[0].info
        actions: ActionSet = info.actions  # type: ignore[assignment]
        return Controls(actions, info.frame_skip, ViewConfig(mask_hud=info.mask_hud))

    def split(self) -> tuple[list[int], list[int]]:
        """Indices of training and of held-out episodes; both hold at least one.

        Raises InputError for a data set of a single episode.
        """
        if len(self.episodes) < 2:
            raise InputError(f"{self.path}: expected at least 2 episodes, one to hold out, found {len(self.episodes)}")
        drawn = [stream(_SPLIT_STREAM, index).random() for index in range(len(self.episodes))]
        held_out = [index for index, number in enumerate(drawn) if number < _HELD_OUT_SHARE]
        if not held_out or len(held_out) == len(drawn):
            held_out = [len(drawn) - 1]
        return sorted(set(range(len(drawn))) - set(held_out)), held_out


def episode_files(folder: Path) -> list[Path]:
    """Episode files of a folder in the order of collection."""
    return sorted(path for path in folder.glob(f"episode-*{SUFFIX}"))


def open_dataset(path: Location, skip_damaged: bool = False) -> Dataset:
    """Open a data set: a .pkl file is read into memory, a folder's frames stay on disk; one in a store is copied first.

    Every episode is held against the hash of its content. Raises InputError when there is no data set, its
    episodes do not belong together, or one is damaged; with `skip_damaged` such a one is named and left out.
    """
    if isinstance(path, Address):
        path = mirrored(path)
    if path.is_dir():
        readers = [functools.partial(read_sound, file) for file in episode_files(path)]
    elif path.is_file():
        readers = read_pickle(path)  # type: ignore[assignment]
    else:
        raise InputError(f"{path}: expected a data set from data_collection, found no such file or folder")
    episodes = []
    for read in readers:
        try:
            episodes.append(read())
        except InputError as damage:
            if not skip_damaged:
                raise InputError(f"{damage}; --skip-damaged leaves it out") from damage
            print(f"{damage}; left out", file=sys.stderr)
    if not episodes:
        raise InputError(f"{path}: expected a data set, found no episodes in it")
    first = episodes[0].info
    for episode in episodes:
        for field in ("actions", "frame_skip", "mask_hud", "truth_fields"):
            if getattr(episode.info, field) != getattr(first, field):
                raise InputError(
                    f"{path}: expected one {field} in a data set, found {getattr(first, field)!r} in episode "
                    f"{first.index} and {getattr(episode.info, field)!r} in episode {episode.info.index}"
                )
    return Dataset(path, episodes)

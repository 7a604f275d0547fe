"""Data sets of a store, copied to this machine once, so that frames are mapped from its disk as ever."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import platformdirs

from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode_file import read_sound
from mario_world_model.rollouts.manifest import ListedEpisode, is_episode, read_manifest
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.lock import in_turn
from mario_world_model.utils.progress import progress
from mario_world_model.utils.storage import Address
from mario_world_model.utils.tracking import config_file

_AT_ONCE = 8  # downloads side by side


def mirror_of(address: Address) -> Path:
    """The folder on this machine for a data set in a store; it may be deleted, and what is beside it."""
    parts = [part if part.strip(".") else part.replace(".", "%2E") for part in address.parts]
    return Path(platformdirs.user_cache_dir("mario-world-model"), "stores", *(quote(part, safe="%") for part in parts))


def mirrored(address: Address) -> Path:
    """A folder with the episodes of a data set in a store, each of the content that the data set's list names.

    What is there already is not fetched again. Raises InputError when there is no data set, or an episode is another
    than the list says; a damaged one is left for who opens the folder to find.
    """
    manifest = read_manifest(address)
    if manifest is None:
        raise InputError(f"{address}: expected a data set from data_collection, found none")
    folder = mirror_of(address)
    if _missing(folder, manifest.episodes) or _strangers(folder, manifest.episodes):
        # One process of a machine fetches, the others find what it has fetched.
        with in_turn(folder):
            for name in _strangers(folder, manifest.episodes):
                (folder / name).unlink()
            _fetch(address, folder, _missing(folder, manifest.episodes))
            with written_whole(config_file(folder)) as temporary:
                temporary.write_text(json.dumps({"finished": manifest.finished}, indent=2) + "\n")
    return folder


def _missing(folder: Path, episodes: Sequence[ListedEpisode]) -> list[ListedEpisode]:
    return [episode for episode in episodes if _content(folder / episode.name) != episode.sha256]


def _strangers(folder: Path, episodes: Sequence[ListedEpisode]) -> list[str]:
    """Episodes that were of the data set once."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return sorted(filter(is_episode, there - {episode.name for episode in episodes}))


def _content(file: Path) -> str | None:
    """The hash of a sound episode's content; None where there is none."""
    if not file.is_file():
        return None
    try:
        return read_sound(file).info.sha256
    except InputError:
        return None


def _fetch(address: Address, folder: Path, episodes: Sequence[ListedEpisode]) -> None:
    def fetch(episode: ListedEpisode) -> None:
        file = folder / episode.name
        with written_whole(file) as temporary:
            try:
                (address / episode.name).download(temporary)
            except OSError as error:
                raise InputError(f"{address / episode.name}: cannot be read: {error.strerror}") from error
        found = _content(file)
        if found not in (None, episode.sha256):
            file.unlink()
            raise InputError(
                f"{address / episode.name}: expected content with SHA-256 {episode.sha256:.12}, found {found:.12}"
            )

    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress(f"fetching {address}", len(episodes), "episode"))
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        for _ in pool.map(fetch, episodes):
            bar.update()

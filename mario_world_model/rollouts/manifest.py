"""What a data set in a store consists of: one object beside its episodes, written last.

Whoever reads it sees the data set as it was before a collection or as it is afterwards. An episode that it does not
name is none of the data set's: one of a collection under way, or what is left of another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode_file import HEAD_BYTES, SUFFIX, read_head
from mario_world_model.utils.storage import Address

MANIFEST = "dataset.json"
_SCHEMA = 1
_NAME = re.compile(rf"episode-(\d{{6,12}})-([0-9a-f]{{8}}){re.escape(SUFFIX)}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ListedEpisode:
    """One episode of a data set."""

    name: str
    """episode-<index>-<tag of its collection>.safetensors, so that no collection overwrites another's."""
    steps: int
    sha256: str
    """Of its content, as in its own info."""

    @property
    def index(self) -> int:
        return int(self.name.split("-")[1])

    @property
    def tag(self) -> str:
        """Of the collection that it comes from."""
        return tag_of(self.name)


@dataclass(frozen=True)
class Manifest:
    """A data set, without its frames."""

    controls: dict[str, Any]
    """What all episodes of a data set have in common."""
    episodes: tuple[ListedEpisode, ...]
    finished: dict[str, Any]
    """How the last collection went, as it stands beside a data set in a folder."""

    @property
    def steps(self) -> int:
        return sum(episode.steps for episode in self.episodes)

    @property
    def fingerprint(self) -> str:
        """That of the data set."""
        return hashlib.sha256("".join(episode.sha256 for episode in self.episodes).encode()).hexdigest()


def episode_name(index: int, tag: str) -> str:
    """What an episode of a collection is called."""
    return f"episode-{index:06d}-{tag}{SUFFIX}"


def tag_of(name: str) -> str:
    """The tag in the name of an episode."""
    return name.removesuffix(SUFFIX).rpartition("-")[2]


def is_episode(name: str) -> bool:
    """Whether an object is called like an episode."""
    return _NAME.fullmatch(name) is not None


def list_episodes(address: Address, tag: str) -> list[ListedEpisode]:
    """The episodes of one collection that are there, in order; reads their headers."""
    names = [name for name in address.names() if is_episode(name) and tag_of(name) == tag]
    heads = [
        read_head(head, str(address / name)) for name, head in zip(names, address.heads(names, HEAD_BYTES), strict=True)
    ]
    episodes = [ListedEpisode(name, steps, info.sha256) for name, (info, steps) in zip(names, heads, strict=True)]
    return sorted(episodes, key=lambda episode: episode.index)


def controls_of(actions: str, frame_skip: int, mask_hud: bool, truth_fields: Sequence[str]) -> dict[str, Any]:
    """What an episode has to have in common with the others of its data set."""
    return {
        "actions": actions,
        "frame_skip": frame_skip,
        "mask_hud": mask_hud,
        "truth_fields": list(truth_fields),
    }


def write_manifest(address: Address, manifest: Manifest) -> None:
    """Make episodes that are there the data set at an address."""
    (address / MANIFEST).write_text(json.dumps({"schema": _SCHEMA, **dataclasses.asdict(manifest)}, indent=1) + "\n")


def read_manifest(address: Address) -> Manifest | None:
    """The data set at an address, None where there is none; raises InputError when its list is damaged."""
    try:
        text = (address / MANIFEST).read_text()
    except FileNotFoundError:
        return None
    try:
        plain = json.loads(text)
        if plain["schema"] != _SCHEMA:
            raise InputError(f"{address / MANIFEST}: expected schema {_SCHEMA}, found {plain['schema']!r:.40}")
        manifest = Manifest(
            dict(plain["controls"]),
            tuple(ListedEpisode(**episode) for episode in plain["episodes"]),
            dict(plain["finished"]),
        )
        if not _sound(manifest.episodes):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{address / MANIFEST}: expected the list of a data set, found a damaged one") from error
    return manifest


def _sound(episodes: Sequence[ListedEpisode]) -> bool:
    """Whether these are names that may become those of files, and numbers that may be believed."""
    return len({episode.name for episode in episodes}) == len(episodes) > 0 and all(
        is_episode(episode.name)
        and type(episode.steps) is int
        and episode.steps > 0
        and _SHA256.fullmatch(episode.sha256) is not None
        for episode in episodes
    )

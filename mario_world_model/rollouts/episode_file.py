"""One episode as one safetensors file: raw arrays behind a JSON header, frames read only when asked for."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from mario_world_model.errors import InputError
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, check_content, check_episode, info_from_plain
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.storage import Location

SUFFIX = ".safetensors"

HEAD_BYTES = 16_384
"""More than the header of an episode takes."""


class _LazyFrames:
    """Frames of an episode file, mapped into memory by the library and copied slice by slice."""

    def __init__(self, slices: Any) -> None:
        self._slices = slices
        self.dtype = {"U8": "uint8"}.get(slices.get_dtype(), slices.get_dtype())
        self.shape: tuple[int, ...] = tuple(slices.get_shape())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> NDArray[np.uint8]:
        frames: NDArray[np.uint8] = self._slices[slice(*index.indices(len(self)))]
        return frames


def write_episode(path: Location, episode: Episode) -> None:
    """Write an episode whole or not at all."""
    with written_whole(path) as temporary:
        save_file(episode.arrays(), temporary, metadata={"info": json.dumps(dataclasses.asdict(episode.info))})


def read_episode(path: Path) -> Episode:
    """Open an episode; its frames stay on disk until they are sliced.

    Raises InputError when the file is damaged or is something else.
    """
    try:
        file = safe_open(path, framework="numpy")
        metadata = file.metadata() or {}
        info = info_from_plain(json.loads(metadata.get("info", "null")), str(path))
        episode = Episode(
            frames=_LazyFrames(file.get_slice("frames")),
            actions=file.get_tensor("actions"),
            rewards=file.get_tensor("rewards"),
            truth=file.get_tensor("truth"),
            info=info,
        )
    except InputError:
        raise
    except Exception as error:  # bytes that are made to break a parser break it in any way
        raise InputError(f"{path}: expected an episode, found a damaged or different file ({error!s:.200})") from error
    return check_episode(episode, str(path))


def read_sound(path: Path) -> Episode:
    """The same, and refuse an episode whose content is not what it was written with."""
    episode = read_episode(path)
    found = path.stat()
    _check_once(path, found.st_size, found.st_mtime_ns)
    return episode


@functools.cache
def _check_once(path: Path, size: int, written: int) -> None:
    """Read and hash a file's content the first time that this process meets it as it is."""
    del size, written
    check_content(read_episode(path), str(path))


def read_head(head: bytes, where: str) -> tuple[EpisodeInfo, int]:
    """Info and steps of an episode, from the first `HEAD_BYTES` of its file; `where` names it.

    Raises InputError when it is damaged or something else.
    """
    try:
        header = json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])
        (steps,) = header["actions"]["shape"]
        return info_from_plain(json.loads(header["__metadata__"]["info"]), where), int(steps)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{where}: expected an episode, found a damaged or different file") from error

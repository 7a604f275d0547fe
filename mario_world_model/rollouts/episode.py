"""One episode: T steps, T + 1 frames, and what the console's RAM said in each of them."""

from __future__ import annotations

import dataclasses
import hashlib
import reprlib
from dataclasses import dataclass
from typing import Any, Protocol, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError

SCHEMA = 1
_MOST_LETTERS = 1000  # of a name; texts are shown on terminals and pages


class Frames(Protocol):
    """Frames uint8 (T + 1, 64, 64, 3), in memory or read from disk on demand."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class EpisodeInfo:
    """Where an episode comes from and how it ended."""

    env: str
    seed: int
    index: int
    policy: str
    actions: str
    frame_skip: int
    sticky: float
    noops: int
    backend: str
    rom_sha1: str
    mask_hud: bool
    terminated: bool
    truncated: bool
    truth_fields: tuple[str, ...]
    start: str = "level"
    """Where it began: "level", after a reset, or "archive", in a state that exploration had reached."""
    sha256: str = ""
    """Of the arrays, in the order of `Episode`'s fields."""
    schema: int = SCHEMA


@dataclass(frozen=True)
class Episode:
    """What an agent saw, did and got; the last frame is the one in which it ended."""

    frames: Frames
    """uint8 (T + 1, 64, 64, 3)."""
    actions: NDArray[np.uint8]
    """(T,); the action that was played, which sticky actions may have put in place of the chosen one."""
    rewards: NDArray[np.float32]
    """(T,)."""
    truth: NDArray[np.int16]
    """(T + 1, len(info.truth_fields)); `emulation.truth` names the columns."""
    info: EpisodeInfo

    def __len__(self) -> int:
        """Steps, T."""
        return len(self.actions)

    def column(self, field: str) -> NDArray[np.int16]:
        """One column of the RAM truth, (T + 1,)."""
        return self.truth[:, self.info.truth_fields.index(field)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The four arrays by name, frames read into memory."""
        return {
            "frames": np.ascontiguousarray(self.frames[:]),
            "actions": self.actions,
            "rewards": self.rewards,
            "truth": np.ascontiguousarray(self.truth),
        }

    @property
    def died(self) -> bool:
        """Whether it ended in death."""
        return self.info.terminated and not self.reached_flag

    @property
    def reached_flag(self) -> bool:
        """Whether it ended at the flag."""
        return self.info.terminated and bool(self.column("flag")[-1])


def content_hash(
    frames: NDArray[np.uint8],
    actions: NDArray[np.uint8],
    rewards: NDArray[np.float32],
    truth: NDArray[np.int16],
) -> str:
    """SHA-256 over the arrays of an episode."""
    digest = hashlib.sha256()
    for array in (frames, actions, rewards, truth):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def info_from_plain(plain: Any, where: str) -> EpisodeInfo:
    """Rebuild an EpisodeInfo from a dict of plain values; raises InputError naming the file and the field."""
    if not isinstance(plain, dict):
        raise InputError(f"{where}: expected the info of an episode, found {type(plain).__name__}")
    if plain.get("schema") != SCHEMA:
        raise InputError(f"{where}: expected episode schema {SCHEMA}, found {reprlib.repr(plain.get('schema'))}")
    names = [item.name for item in dataclasses.fields(EpisodeInfo)]
    if set(plain) != set(names):
        raise InputError(
            f"{where}: expected the fields of an episode's info, found {reprlib.repr(sorted(map(str, plain)))}"
        )
    types = get_type_hints(EpisodeInfo)
    values = {**plain, "truth_fields": _as_tuple(plain["truth_fields"])}
    for name in names:
        expected = get_origin(types[name]) or types[name]
        if type(values[name]) is not expected and not (expected is float and type(values[name]) is int):
            raise InputError(f"{where}: {name}: expected {expected.__name__}, found {reprlib.repr(plain[name])}")
    allowed = {
        "actions": tuple(ACTION_SETS),
        "truth_fields": (TRUTH_FIELDS,),
        "start": ("level", "archive"),
        "frame_skip": range(1, 61),
    }
    for name, choices in allowed.items():
        if values[name] not in choices:
            raise InputError(f"{where}: {name}: expected one of {choices}, found {reprlib.repr(plain[name])}")
    for name, value in values.items():
        if isinstance(value, str) and not (value.isprintable() and len(value) <= _MOST_LETTERS):
            raise InputError(f"{where}: {name}: expected a short text, found {reprlib.repr(value)}")
    for name, most in (("seed", 2**63), ("index", 10**9), ("noops", 600), ("sticky", 1.0)):
        if not 0 <= values[name] <= most:  # nor is it when it is no number
            raise InputError(f"{where}: {name}: expected 0 to {most}, found {reprlib.repr(values[name])}")
    return EpisodeInfo(**values)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def check_episode(episode: Episode, where: str) -> Episode:
    """Refuse an episode whose arrays do not fit together; returns it otherwise."""
    steps = episode.actions.size  # which has a length only if it has a dimension
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "frames": ((steps + 1, 64, 64, 3), "uint8"),
        "actions": ((steps,), "uint8"),
        "rewards": ((steps,), "float32"),
        "truth": ((steps + 1, len(episode.info.truth_fields)), "int16"),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(episode, name)
        if tuple(array.shape) != shape or str(array.dtype) != dtype:
            raise InputError(f"{where}: {name}: expected {dtype} {shape}, found {array.dtype} {tuple(array.shape)}")
    if steps == 0:
        raise InputError(f"{where}: expected at least one step, found none")
    if not np.isfinite(episode.rewards).all():
        raise InputError(f"{where}: rewards: expected finite numbers, found others")
    most = len(ACTION_SETS[episode.info.actions]) - 1  # type: ignore[index]  # checked with the info
    if int(episode.actions.max()) > most:
        raise InputError(f"{where}: actions: expected 0 to {most}, found {int(episode.actions.max())}")
    return episode


def check_content(episode: Episode, where: str) -> Episode:
    """Refuse an episode whose arrays are not those it was written with; reads all of its frames."""
    found = content_hash(episode.frames[:], episode.actions, episode.rewards, episode.truth)
    if found != episode.info.sha256:
        raise InputError(
            f"{where}: expected content with SHA-256 {episode.info.sha256:.12}, found {found:.12}: damaged or changed"
        )
    return episode

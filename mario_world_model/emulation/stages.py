"""Which stage an environment plays, which ROM it plays it on, and the environment ids that say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from mario_world_model.errors import InputError

RomMode = Literal["vanilla", "downsample", "pixel", "rectangle"]
"""The four pictures of one game; the version at the end of an id is the place in this list."""

Target = tuple[int, int] | Literal["random"] | None
"""(world, stage), a stage drawn at every reset, or the whole game from 1-1."""

ROM_MODES: Final[tuple[RomMode, ...]] = get_args(RomMode)
STAGES: Final = tuple((world, stage) for world in range(1, 9) for stage in range(1, 5))
"""Every (world, stage), in the order of play."""

_ID = re.compile(r"SuperMarioBros(?:(?P<random>RandomStages)|-(?P<world>[1-8])-(?P<stage>[1-4]))?-v(?P<v>[0-3])")

# In these worlds a walk into a pipe comes between the first stage and the second and has an area of
# its own (gym-super-mario-bros 7.4.0, _roms/decode_target.py).
_WORLDS_WITH_INTERLUDE: Final = frozenset({1, 2, 4, 7})


@dataclass(frozen=True)
class EnvId:
    """What an environment id says."""

    target: Target
    """Stage to play."""
    mode: RomMode
    """Picture of the game."""

    def __str__(self) -> str:
        match self.target:
            case None:
                stage = ""
            case "random":
                stage = "RandomStages"
            case (world, number):
                stage = f"-{world}-{number}"
        return f"SuperMarioBros{stage}-v{ROM_MODES.index(self.mode)}"


def parse_env_id(env_id: str) -> EnvId:
    """Read an environment id.

    Raises:
        InputError: the id is none of those this project registers.
    """
    match = _ID.fullmatch(env_id)
    if match is None:
        raise InputError(
            "env: expected SuperMarioBros-<world 1..8>-<stage 1..4>-v<0..3>, SuperMarioBros-v<0..3> or "
            f"SuperMarioBrosRandomStages-v<0..3>, found {env_id!r}"
        )
    target: Target = None
    if match["random"]:
        target = "random"
    elif match["world"]:
        target = (int(match["world"]), int(match["stage"]))
    return EnvId(target, ROM_MODES[int(match["v"])])


def all_env_ids() -> Iterator[EnvId]:
    """Every id there is: the whole game, random stages and 32 stages, on four ROMs."""
    for mode in ROM_MODES:
        yield EnvId(None, mode)
        yield EnvId("random", mode)
        for stage in STAGES:
            yield EnvId(stage, mode)


def check_target(target: Target) -> None:
    """Refuse a target that is no stage of the game.

    Raises:
        InputError: neither a stage in 1-1 … 8-4, nor "random", nor None.
    """
    if target is not None and target != "random" and target not in STAGES:
        raise InputError(f"target: expected (1..8, 1..4), 'random' or None, found {target!r}")


def area_of(world: int, stage: int) -> int:
    """Number, from 1, of the area in which a stage begins."""
    return stage + (stage >= 2 and world in _WORLDS_WITH_INTERLUDE)

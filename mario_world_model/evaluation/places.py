"""Places spread over 1-1 from which episodes can begin."""

from __future__ import annotations

import dataclasses
import functools

from mario_world_model.config import GameConfig
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.rollouts.route import route
from mario_world_model.utils.environment import MarioEnv, make_env

PLACES = 16
_FIRST, _SPACING = 40, 190  # pixels; the last place is 270 before the flag
_X = TRUTH_FIELDS.index("x")


def place(game: GameConfig, index: int) -> bytes:
    """The state from which episode `index` of a spread protocol begins, Mario on his feet or on his way there."""
    bare = dataclasses.replace(game, actions="SIMPLE_MOVEMENT", frame_skip=4, sticky=0.0, noops=0)
    return _places(bare)[index % PLACES]


@functools.lru_cache(maxsize=1)
def _places(game: GameConfig) -> list[bytes]:
    """States along the way through the level, one every `_SPACING` pixels."""
    env = make_env(game)
    console = env.unwrapped
    assert isinstance(console, MarioEnv)
    found: list[bytes] = []
    try:
        env.reset(seed=0)
        for action in route():
            if int(console.truth()[_X]) >= _FIRST + _SPACING * len(found) and len(found) < PLACES:
                found.append(console.save_state())
            env.step(action)
    finally:
        env.close()
    if len(found) < PLACES:
        raise InputError(f"{game.env}: expected the way through to pass {PLACES} places, found {len(found)}")
    return found

"""A map of 1-1, stitched from the screens of a walk through it."""

from __future__ import annotations

from dataclasses import dataclass

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import GameConfig
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.rollouts.route import route
from mario_world_model.utils.environment import MarioEnv, make_env
from mario_world_model.utils.preprocessing import HUD_ROWS

# The picture lacks 8 of the console's 256 columns, and 8 of its 240 rows, on every side.
HIDDEN = 8
_EVERY = 3  # steps between two screens that are looked at
_X, _SCREEN_X, _FLAG = (TRUTH_FIELDS.index(name) for name in ("x", "screen_x", "flag"))


@dataclass(frozen=True)
class LevelMap:
    """A level as it looks without those who move in it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3); column c is at x = `left` + c of the level, row r at 255 − y = r + `top`."""
    left: int
    top: int


def map_level(game: GameConfig) -> LevelMap:
    """The map of the level of 1-1, by playing the way through it: of every pixel the median of all screens.

    Mario and his enemies are in few of these, so that they vanish.
    """
    seen: list[tuple[int, NDArray[np.uint8]]] = []
    env = make_env(GameConfig(env=game.env, backend=game.backend, rom=game.rom, sticky=0.0, noops=0))
    console = env.unwrapped
    assert isinstance(console, MarioEnv)
    try:
        screen, _ = env.reset(seed=0)
        for number, action in enumerate(route()):
            truth = console.truth()
            if number % _EVERY == 0:
                seen.append((int(truth[_X]) - int(truth[_SCREEN_X]) + HIDDEN, screen[HUD_ROWS:]))
            screen, _, over, _, _ = env.step(action)
            if over:
                break
    finally:
        env.close()
    return _stitched(seen)


def _stitched(seen: list[tuple[int, NDArray[np.uint8]]]) -> LevelMap:
    height, width, _ = seen[0][1].shape
    left, right = min(x for x, _ in seen), max(x for x, _ in seen) + width
    pixels = np.zeros((height, right - left, 3), dtype=np.uint8)
    for first in range(left, right, 16):
        last = min(first + 16, right)
        # Only screens that show these columns whole.
        parts = [screen[:, first - x : last - x] for x, screen in seen if x <= first and last <= x + width]
        if parts:
            pixels[:, first - left : last - left] = np.median(np.stack(parts), axis=0).astype(np.uint8)
    return LevelMap(pixels, left, HUD_ROWS + HIDDEN)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture as the bytes of a PNG file."""
    return bytes(iio.imwrite("<bytes>", pixels, extension=".png"))

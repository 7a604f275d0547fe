"""Where things are in a frame, as numbers that a latent can hold: what V may be taught beside the picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mario_world_model.emulation import ram
from mario_world_model.emulation.truth import NO_PIT, TRUTH_FIELDS, has_fallen

TILE: Final = 16
"""Pixels of a tile."""

_MIDDLE: Final = 6.0  # tiles; about where Mario is on average, so that landmarks are centred
_Column = NDArray[np.floating[Any]]

SIGHT: Final = 11.0
"""Tiles from Mario within which pits are recorded and enemies count."""
_FLAG: Final = 0x31
# Lengths in pixels whose phases together tell any two places of a level apart: the longest is more than a level,
# the shortest fine enough to read off the tile and the pixel.
_WAVES: Final = (4096, 1024, 256, 64)

LANDMARKS: Final[tuple[str, ...]] = (
    "screen_x",
    "y",
    "tall",
    *(f"{wave}_{length}" for length in _WAVES for wave in ("sin", "cos")),
    *(f"{enemy}_{what}" for enemy in ("ahead", "next_ahead", "behind") for what in ("near", "above")),
    "pit_near",
)
"""Columns of `landmarks_of`, all of order one.

screen_x, y: Mario's place in the picture, tiles from a point left of the middle of the screen. tall: 1 after a
mushroom. sin_*, cos_*: phases of the screen's left edge in the level at four wavelengths in pixels. *_near: 2 where
something touches Mario, falling to 0 at 11 tiles, and 0 where there is nothing; *_above: its height over Mario in units
of two tiles, times its nearness. So nothing jumps when something comes into sight.
"""


def landmarks_of(truth: NDArray[np.int16]) -> NDArray[np.float32]:
    """Landmarks (N, len(LANDMARKS)) of rows of RAM truth (N, len(TRUTH_FIELDS))."""
    x, screen_x, y = _column(truth, "x"), _column(truth, "screen_x"), _visible_height(truth)
    left = x - screen_x
    columns: list[_Column] = [screen_x / TILE - _MIDDLE, y / TILE - _MIDDLE, np.minimum(_column(truth, "status"), 1.0)]
    for length in _WAVES:
        phase = left * (2.0 * np.pi / length)
        columns += [np.sin(phase), np.cos(phase)]
    enemies = enemy_places(truth)
    distance = np.nan_to_num((enemies[..., 0] + _MIDDLE) * TILE - screen_x[:, None], nan=np.inf)
    above = np.nan_to_num((enemies[..., 1] + _MIDDLE) * TILE - y[:, None])
    ahead = distance >= -TILE / 2
    columns += [*_nearest(distance, above, ahead, 0), *_nearest(distance, above, ahead, 1)]
    columns += _nearest(distance, above, ~ahead, 0)
    pit = _column(truth, "pit_dx")
    columns.append(np.where(pit == NO_PIT, 0.0, _nearness(pit)))
    return np.stack(columns, axis=1).astype(np.float32)


def enemy_places(truth: NDArray[np.int16]) -> NDArray[np.float32]:
    """Where enemies are in the picture, (N, slots, 2), as `screen_x` and `y` say it of Mario; NaN for an empty slot."""
    places = np.full((len(truth), ram.ENEMY_SLOTS, 2), np.nan, dtype=np.float32)
    left = _column(truth, "x") - _column(truth, "screen_x")
    for slot in range(ram.ENEMY_SLOTS):
        screen_x = _column(truth, f"enemy{slot}_x") - left
        there = (_column(truth, f"enemy{slot}_active") > 0) & (_column(truth, f"enemy{slot}_type") != _FLAG)
        seen = there & (screen_x > -TILE) & (screen_x < 256)
        places[seen, slot, 0] = screen_x[seen] / TILE - _MIDDLE
        places[seen, slot, 1] = (255.0 - _column(truth, f"enemy{slot}_y")[seen]) / TILE - _MIDDLE
    return places


def _column(truth: NDArray[np.int16], name: str) -> _Column:
    return truth[:, TRUTH_FIELDS.index(name)].astype(np.float32)


def _visible_height(truth: NDArray[np.int16]) -> _Column:
    """Mario's y in the picture, which is a frame behind the RAM: he has risen or fallen by his speed since."""
    y = _column(truth, "y")
    return np.where(has_fallen(truth), y - 256.0, y + _column(truth, "y_speed"))


def _nearest(distance: _Column, above: _Column, side: NDArray[np.bool_], rank: int) -> list[_Column]:
    """Nearness and height of the enemy that comes `rank` others after the nearest on one side of Mario, (N,) each."""
    apart = np.where(side, np.abs(distance), np.inf)
    which = np.argsort(apart, axis=1, kind="stable")[:, rank : rank + 1]
    near = _nearness(np.take_along_axis(apart, which, axis=1)[:, 0])
    height = np.take_along_axis(above, which, axis=1)[:, 0] / (2 * TILE)
    return [near, near * np.clip(height, -3.0, 3.0)]


def _nearness(pixels: _Column) -> _Column:
    near: _Column = 2.0 * np.clip(1.0 - pixels / (TILE * SIGHT), 0.0, 1.0)
    return near

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

_SIGHT: Final = 11.0  # tiles ahead of Mario within which pits are recorded and enemies count
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

screen_x, y: Mario's place, tiles from a point left of the middle of the screen. tall: 1 after a mushroom. sin_*,
cos_*: phases of the screen's left edge in the level at four wavelengths in pixels. *_near: 2 where something touches
Mario, falling to 0 at 11 tiles, and 0 where there is nothing; *_above: its height over Mario in units of two tiles,
times its nearness. So nothing jumps when something comes into sight.
"""


def landmarks_of(truth: NDArray[np.int16]) -> NDArray[np.float32]:
    """Landmarks (N, len(LANDMARKS)) of rows of RAM truth (N, len(TRUTH_FIELDS))."""

    def column(name: str) -> _Column:
        return truth[:, TRUTH_FIELDS.index(name)].astype(np.float32)

    x, screen_x = column("x"), column("screen_x")
    y = np.where(has_fallen(truth), column("y") - 256.0, column("y"))
    left = x - screen_x
    columns: list[_Column] = [screen_x / TILE - _MIDDLE, y / TILE - _MIDDLE, np.minimum(column("status"), 1.0)]
    for length in _WAVES:
        phase = left * (2.0 * np.pi / length)
        columns += [np.sin(phase), np.cos(phase)]
    distance = np.full((len(x), ram.ENEMY_SLOTS), np.inf, dtype=np.float32)
    above = np.zeros_like(distance)
    for slot in range(ram.ENEMY_SLOTS):
        enemy_x = column(f"enemy{slot}_x")
        on_screen = (enemy_x - left > -TILE) & (enemy_x - left < 256)
        there = (column(f"enemy{slot}_active") > 0) & (column(f"enemy{slot}_type") != _FLAG) & on_screen
        distance[there, slot] = (enemy_x - x)[there]
        above[:, slot] = 255.0 - column(f"enemy{slot}_y") - y
    ahead = distance >= -TILE / 2
    columns += [*_nearest(distance, above, ahead, 0), *_nearest(distance, above, ahead, 1)]
    columns += _nearest(distance, above, ~ahead, 0)
    pit = column("pit_dx")
    columns.append(np.where(pit == NO_PIT, 0.0, _nearness(pit)))
    return np.stack(columns, axis=1).astype(np.float32)


def _nearest(distance: _Column, above: _Column, side: NDArray[np.bool_], rank: int) -> list[_Column]:
    """Nearness and height of the enemy that comes `rank` others after the nearest on one side of Mario, (N,) each."""
    apart = np.where(side, np.abs(distance), np.inf)
    which = np.argsort(apart, axis=1, kind="stable")[:, rank : rank + 1]
    near = _nearness(np.take_along_axis(apart, which, axis=1)[:, 0])
    height = np.take_along_axis(above, which, axis=1)[:, 0] / (2 * TILE)
    return [near, near * np.clip(height, -3.0, 3.0)]


def _nearness(pixels: _Column) -> _Column:
    near: _Column = 2.0 * np.clip(1.0 - pixels / (TILE * _SIGHT), 0.0, 1.0)
    return near

"""What is really going on in a frame, recorded beside the pictures so that a model can be probed for it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mario_world_model.emulation import ram

TRUTH_FIELDS: Final[tuple[str, ...]] = (
    "x",
    "y",
    "screen_x",
    "x_speed",
    "y_speed",
    "time",
    "status",
    "alive",
    "flag",
    "world",
    "stage",
    *(f"enemy{slot}_{what}" for slot in range(ram.ENEMY_SLOTS) for what in ("active", "type", "x", "y")),
    "pit_dx",
)
"""Columns of `read_truth`.

x, y: Mario's position, pixels (`ram.x_position`, `ram.y_position`). screen_x: 0..255 from the left of
the 256-pixel screen. x_speed: -40..40, sixteenths of a pixel a frame. y_speed: whole pixels a frame,
down is positive. time: game clock. status: 0 small, 1 tall, 2 fireball. alive, flag: 0 or 1.
enemy*_x: pixels in the level; enemy*_y: pixels from the top; a slot that is not active holds
what its last enemy left. pit_dx: pixels from Mario's left edge to the nearest column without
floor among his own and the next 10, 0 if he is over it, `NO_PIT` if there is none.
"""

NO_PIT: Final = 255
"""`pit_dx` when there is floor as far as the next 10 columns."""

_PIT_COLUMNS: Final = 10
HIGHEST_GRAVE: Final = 192
"""Nothing in reach above this y kills: a dead Mario this high has come out below the picture."""


def read_truth(read: ram.Read) -> NDArray[np.int16]:
    """One row of `TRUTH_FIELDS`, (len(TRUTH_FIELDS),) int16."""
    x = ram.x_position(read)
    row = [
        x,
        ram.y_position(read),
        ram.screen_x(read),
        _signed(read(ram.X_SPEED)),
        _signed(read(ram.Y_SPEED)),
        ram.time(read),
        min(read(ram.POWER), 2),
        not ram.is_lost(read),
        ram.is_flag_get(read),
        ram.world(read),
        ram.stage(read),
    ]
    for slot in range(ram.ENEMY_SLOTS):
        row += (
            read(ram.ENEMY_ACTIVE + slot) != 0,
            read(ram.ENEMY_TYPE + slot),
            read(ram.ENEMY_X_PAGE + slot) * 256 + read(ram.ENEMY_X_IN_PAGE + slot),
            read(ram.ENEMY_Y + slot),
        )
    row.append(_pit_distance(read, x))
    return np.array(row, dtype=np.int16)


def has_fallen(truth: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which rows of truth, (N,), show Mario below the picture, where the console's height begins again at the top."""
    alive, y = (truth[:, TRUTH_FIELDS.index(name)] for name in ("alive", "y"))
    fallen: NDArray[np.bool_] = (alive == 0) & (y > HIGHEST_GRAVE)
    return fallen


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _pit_distance(read: ram.Read, x: int) -> int:
    under = (x + 8) // 16  # the column below the middle of Mario's 16 pixels
    for column in range(under, under + _PIT_COLUMNS + 1):
        if ram.is_pit(read, column):
            return max(0, column * 16 - x)
    return NO_PIT

"""The one map of the game's RAM: what each address means, read one byte at a time.

Every function takes ``read``, an emulator's `read(address) -> int`, and does its arithmetic in
Python integers, because a page times 256 overflows NumPy's uint8. Addresses and rules are those of
gym-super-mario-bros 7.4.0 (`smb_env.py`); enemies, speeds and tiles follow the RAM map of Data Crystal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Read = Callable[[int], int]

PLAYER_STATE: Final = 0x000E
ENEMY_ACTIVE: Final = 0x000F
"""First of five slots, as the other ENEMY addresses."""
ENEMY_TYPE: Final = 0x0016
FLOAT_STATE: Final = 0x001D
"""3 while Mario slides down the pole; also 3 on a vine."""
X_SPEED: Final = 0x0057
X_PAGE: Final = 0x006D
ENEMY_X_PAGE: Final = 0x006E
X_IN_PAGE: Final = 0x0086
ENEMY_X_IN_PAGE: Final = 0x0087
Y_SPEED: Final = 0x009F
VIEWPORT: Final = 0x00B5
"""1 on the screen, 0 above it, 2 and more below it."""
ENEMY_Y: Final = 0x00CF
Y_PIXEL: Final = 0x03B8
TILES: Final = 0x0500
"""Two pages of 13 rows of 16 columns; 0 is a place to fall through."""
CHANGE_AREA_TIMER: Final = 0x06DE
SCREEN_LEFT: Final = 0x071C
POWER: Final = 0x0756
LIVES: Final = 0x075A
STAGE: Final = 0x075C
WORLD: Final = 0x075F
AREA: Final = 0x0760
GAME_MODE: Final = 0x0770
"""0 title, 1 play, 2 end of a world."""
PRELEVEL_TIMER: Final = 0x07A0
SCORE: Final = 0x07DE
COINS: Final = 0x07ED
TIME: Final = 0x07F8

ENEMY_SLOTS: Final = 5
_DYING: Final = 0x0B
DEAD: Final = 0x06
_BUSY: Final = frozenset({0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07})
_BOWSER, _FLAG = 0x2D, 0x31
_TILE_ROWS, _TILE_COLUMNS = 13, 16
_WORLD_OVER: Final = 2
_GAME_OVER: Final = 0xFF


def x_position(read: Read) -> int:
    """Mario's left edge in the level, pixels."""
    return read(X_PAGE) * 256 + read(X_IN_PAGE)


def y_position(read: Read) -> int:
    """Mario's height, pixels above the bottom of the picture; above 255 over the top of it."""
    pixel = read(Y_PIXEL)
    return 510 - pixel if read(VIEWPORT) < 1 else 255 - pixel


def screen_x(read: Read) -> int:
    """Mario's left edge on the 256-pixel-wide screen, 0..255."""
    return (read(X_IN_PAGE) - read(SCREEN_LEFT)) % 256


def _digits(read: Read, address: int, count: int) -> int:
    value = 0
    for place in range(address, address + count):
        value = value * 10 + read(place)
    return value


def score(read: Read) -> int:
    """Points, 0..999990."""
    return _digits(read, SCORE, 6)


def coins(read: Read) -> int:
    """Coins, 0..99."""
    return _digits(read, COINS, 2)


def time(read: Read) -> int:
    """Game clock, 400 at most; it ticks every 24 frames."""
    return read(TIME) * 100 + read(TIME + 1) * 10 + read(TIME + 2)


def lives(read: Read) -> int:
    """Lives left after this one; 255 when the game is over."""
    return read(LIVES)


def world(read: Read) -> int:
    """World, 1..8."""
    return read(WORLD) + 1


def stage(read: Read) -> int:
    """Stage in its world, 1..4."""
    return read(STAGE) + 1


def status(read: Read) -> str:
    """Mario's power: "small", "tall" or "fireball"."""
    power = read(POWER)
    return "small" if power == 0 else "tall" if power == 1 else "fireball"


def is_dying(read: Read) -> bool:
    """Mario is in his death animation or has fallen out of the picture."""
    return read(PLAYER_STATE) == _DYING or read(VIEWPORT) > 1


def is_dead(read: Read) -> bool:
    """Mario's death is over and the next life about to begin."""
    return read(PLAYER_STATE) == DEAD


def is_lost(read: Read) -> bool:
    """Dying or dead; two reads instead of three, for use at every frame."""
    state = read(PLAYER_STATE)
    return state in (_DYING, DEAD) or read(VIEWPORT) > 1


def is_game_over(read: Read) -> bool:
    """No life is left."""
    return read(LIVES) == _GAME_OVER


def is_busy(read: Read) -> bool:
    """The player has no control: pipes, vines, automatic walks, the screen between lives."""
    return read(PLAYER_STATE) in _BUSY


def is_world_over(read: Read) -> bool:
    """Bowser is beaten and the scene after him runs."""
    return read(GAME_MODE) == _WORLD_OVER


def is_stage_over(read: Read) -> bool:
    """Mario slides down the flag pole, or the same state beside Bowser."""
    # The slide is asked first because it is rare: one read then settles almost every frame.
    if read(FLOAT_STATE) != 3:
        return False
    return any(read(ENEMY_TYPE + slot) in (_BOWSER, _FLAG) for slot in range(ENEMY_SLOTS))


def is_flag_get(read: Read) -> bool:
    """The stage is won."""
    return is_world_over(read) or is_stage_over(read)


def is_pit(read: Read, column: int) -> bool:
    """Whether tile column ``column`` of the level, 16 pixels wide, has no floor in its two lowest rows."""
    page, place = divmod(column, _TILE_COLUMNS)
    bottom = TILES + ((page % 2) * _TILE_ROWS + _TILE_ROWS - 1) * _TILE_COLUMNS + place
    return read(bottom) == 0 and read(bottom - _TILE_COLUMNS) == 0

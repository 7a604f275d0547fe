"""One palette for both backends, so that a network trained on one can play on the other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# RGB that nes-py 8.2.1 and stable-retro 1.0.1 (FCEUmm) show for each of the console's colours.
# Measured: the game's own picture-memory queue at 0300 was made to set the background to every colour
# in turn on both. The console's other numbers are black on both.
_PAIRS: Final = (
    (0x000000, 0x000000),
    (0x7C7C7C, 0x707470),
    (0x0000FC, 0x201888),
    (0x0000BC, 0x0000A8),
    (0x4428BC, 0x400098),
    (0x940084, 0x880070),
    (0xA80020, 0xA80010),
    (0xA81000, 0xA00000),
    (0x881400, 0x780800),
    (0x503000, 0x402C00),
    (0x007800, 0x004400),
    (0x006800, 0x005000),
    (0x005800, 0x003C10),
    (0x004058, 0x183C58),
    (0xBCBCBC, 0xB8BCB8),
    (0x0078F8, 0x0070E8),
    (0x0058F8, 0x2038E8),
    (0x6844FC, 0x8000F0),
    (0xD800CC, 0xB800B8),
    (0xE40058, 0xE00058),
    (0xF83800, 0xD82800),
    (0xE45C10, 0xC84C08),
    (0xAC7C00, 0x887000),
    (0x00B800, 0x009400),
    (0x00A800, 0x00A800),
    (0x00A844, 0x009038),
    (0x008888, 0x008088),
    (0xF8F8F8, 0xF8FCF8),
    (0x3CBCFC, 0x38BCF8),
    (0x6888FC, 0x5894F8),
    (0x9878F8, 0x4088F8),
    (0xF878F8, 0xF078F8),
    (0xF85898, 0xF874B0),
    (0xF87858, 0xF87460),
    (0xFCA044, 0xF89838),
    (0xF8B800, 0xF0BC38),
    (0xB8F818, 0x80D010),
    (0x58D854, 0x48DC48),
    (0x58F898, 0x58F898),
    (0x00E8D8, 0x00E8D8),
    (0x787878, 0x787878),
    (0xFCFCFC, 0xF8FCF8),
    (0xA4E4FC, 0xA8E4F8),
    (0xB8B8F8, 0xC0D4F8),
    (0xD8B8F8, 0xD0C8F8),
    (0xF8B8F8, 0xF8C4F8),
    (0xF8A4C0, 0xF8C4D8),
    (0xF0D0B0, 0xF8BCB0),
    (0xFCE0A8, 0xF8D8A8),
    (0xF8D878, 0xF8E4A0),
    (0xD8F878, 0xE0FCA0),
    (0xB8F8B8, 0xA8F0B8),
    (0xB8F8D8, 0xB0FCC8),
    (0x00FCFC, 0x98FCF0),
    (0xF8D8F8, 0xC0C4C0),
)
_NES_PY: Final = np.array([ours for ours, _ in _PAIRS], dtype=np.uint32)


def _distinct_modulus() -> int:
    modulus = len(_PAIRS)
    while len(np.unique(_NES_PY % modulus)) < len(_PAIRS):
        modulus += 1
    return modulus


# The least number whose remainders tell all colours apart: one division and one look-up a pixel, a
# tenth of the time of a search.
_MODULUS: Final = np.uint32(_distinct_modulus())
_TABLE: Final = np.zeros((int(_MODULUS), 3), dtype=np.uint8)
_TABLE[_NES_PY % _MODULUS] = [list(fceumm.to_bytes(3, "big")) for _, fceumm in _PAIRS]


def to_fceumm(pixels: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Colours of nes-py as FCEUmm shows them.

    Args:
        pixels: (height, width) 0x00RRGGBB, nes-py's own.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    colours: NDArray[np.uint8] = _TABLE[pixels % _MODULUS]
    return colours

"""Super Mario Bros on stable-retro's FCEUmm core, driven without its environment class.

`RetroEnv.step` spends twice the core's own time on copying RAM; reading single bytes of the running
core (`GameData.memory.extract`) costs under a microsecond and needs none of it.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from stable_retro import RetroEmulator
from stable_retro.data import GameData

from mario_world_model.emulation.emulator import SCREEN_SHAPE, Screen, unpack_state
from mario_world_model.errors import InputError

_TAG: Final = b"stable-retro/1\n"
_BYTE: Final = "|u1"

# Joypad bit of each entry in the core's mask: B, (unused), select, start, up, down, left, right, A.
_MASK_BITS: Final = (0x02, 0, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x01)
_MASKS: Final[tuple[NDArray[np.uint8], ...]] = tuple(
    np.array([bool(buttons & bit) for bit in _MASK_BITS], dtype=np.uint8) for buttons in range(256)
)


class StableRetroEmulator:
    """`Emulator` on stable-retro.

    The library runs one core per process, while Gymnasium's checker, for one, opens a second
    environment beside the first. So consoles share the core: it belongs to the one that was used
    last, and another that is used first puts the owner's state aside and brings its own. While only
    one is in use this costs one comparison a call.
    """

    name = "stable-retro"
    _owner: ClassVar[StableRetroEmulator | None] = None
    _core: ClassVar[Any] = None
    _core_rom: ClassVar[Path | None] = None
    _data: ClassVar[Any] = None
    _memory: ClassVar[Any] = None

    def __init__(self, rom: Path) -> None:
        self._rom = rom
        self._aside: bytes | None = None
        self._closed = False
        self._extract: Any = None
        # A savestate has no picture in it; after a load the picture is kept here until the next frame.
        self._picture: Screen | None = None
        self._take()

    def step(self, buttons: int) -> None:
        if StableRetroEmulator._owner is not self:
            self._take()
        core = self._core
        core.set_button_mask(_MASKS[buttons], 0)
        core.step()
        self._picture = None

    def read(self, address: int) -> int:
        if StableRetroEmulator._owner is not self:
            self._take()
        value: int = self._extract(address, _BYTE)
        return value

    def write(self, address: int, value: int) -> None:
        if StableRetroEmulator._owner is not self:
            self._take()
        self._memory.assign(address, _BYTE, value)

    def screen(self) -> Screen:
        if StableRetroEmulator._owner is not self:
            self._take()
        if self._picture is not None:
            return self._picture.copy()
        picture: Screen = self._core.get_screen()
        return picture

    def save_state(self) -> bytes:
        if StableRetroEmulator._owner is not self:
            self._take()
        picture = zlib.compress(self.screen().tobytes(), level=1)
        memory: bytes = self._core.get_state()
        return _TAG + len(picture).to_bytes(4, "little") + picture + memory

    def load_state(self, state: bytes) -> None:
        body = unpack_state(state, _TAG, self.name)
        if StableRetroEmulator._owner is not self:
            self._take()
        end = 4 + int.from_bytes(body[:4], "little")
        picture = _unpack_picture(body[4:end])
        if not self._core.set_state(body[end:]):
            raise InputError(
                f"state: expected one of this game, found {max(0, len(body) - end)} bytes the core refuses"
            )
        self._picture = picture

    def close(self) -> None:
        self._closed = True
        self._aside = None
        if StableRetroEmulator._owner is self:
            StableRetroEmulator._owner = None
            _drop_core()

    def _take(self) -> None:
        """Make the one core this console's."""
        if self._closed:
            raise RuntimeError("this emulator was closed")
        cls = StableRetroEmulator
        if cls._owner is not None:
            cls._owner._aside = cls._owner.save_state()
            cls._owner = None
        # Power-on has to be a new core: a used one remembers more than a reset clears.
        if cls._core is None or cls._core_rom != self._rom or self._aside is None:
            _drop_core()
            _open_core(self._rom)
        cls._owner = self
        # Bound once: there are a dozen reads a frame, and looking it up is a fifth of each.
        self._extract = cls._memory.extract
        if self._aside is not None:
            aside, self._aside = self._aside, None
            self.load_state(aside)


def _open_core(rom: Path) -> None:
    cls = StableRetroEmulator
    core, data = RetroEmulator(str(rom)), GameData()
    core.configure_data(data)
    # `memory` is a bare view: without a reference to `data` it would read freed storage.
    cls._core, cls._core_rom, cls._data, cls._memory = core, rom, data, data.memory


def _unpack_picture(packed: bytes) -> Screen:
    """The screen in a state, which may be damaged or claim any size."""
    size = math.prod(SCREEN_SHAPE)
    try:
        content = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise InputError(f"state: expected one of this game, found a damaged picture in it ({error})") from error
    if len(content) != size:
        raise InputError(f"state: expected a picture of {size} bytes in it, found another size")
    return np.frombuffer(content, dtype=np.uint8).reshape(SCREEN_SHAPE)


def _drop_core() -> None:
    # The library refuses a new core until the old one's last reference is gone.
    cls = StableRetroEmulator
    cls._core = cls._core_rom = cls._data = cls._memory = None

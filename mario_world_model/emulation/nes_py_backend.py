"""Super Mario Bros on the C++ core of nes-py 8.2.1, without its Python half.

Importing the package would import the dead `gym` and, on NumPy 2, fail; its compiled library has all
that is needed and is loaded by itself.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from array import array
from collections import OrderedDict
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from mario_world_model.emulation.emulator import Screen, unpack_state
from mario_world_model.emulation.palette import to_fceumm
from mario_world_model.errors import InputError

_TAG: Final = b"nes-py/1\n"
_HEIGHT, _WIDTH = 240, 256
# The 8 pixels on each side that FCEUmm leaves out; found by matching both pictures of one situation.
_VISIBLE: Final = (slice(8, 232), slice(8, 248))
_WRITE: Final = 1 << 31
# One core for each of 32 stages and one at power-on; a core takes half a megabyte.
_MOST_CORES: Final = 33


@functools.cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nes_py")
    folders = (spec and spec.submodule_search_locations) or []
    files = [file for folder in folders for file in Path(folder).glob("lib_nes_env*") if file.suffix != ".cpp"]
    if not files:
        raise InputError("backend: expected nes-py's compiled lib_nes_env, found none; is nes-py 8.2.1 installed?")
    library = ctypes.CDLL(str(files[0]))
    handle = ctypes.c_void_p
    for name, result, arguments in (
        ("Initialize", handle, [ctypes.c_wchar_p]),
        ("Controller", handle, [handle, ctypes.c_uint]),
        ("Screen", handle, [handle]),
        ("Memory", handle, [handle]),
        ("Reset", None, [handle]),
        ("Step", None, [handle]),
        ("Backup", None, [handle]),
        ("Restore", None, [handle]),
        ("Close", None, [handle]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class _Core:
    """One C++ console, the log of all that was done to it, and the one place it can go back to."""

    def __init__(self, rom: Path) -> None:
        self._library = library = _library()
        self.handle = library.Initialize(str(rom))
        library.Reset(self.handle)
        self.step_once = library.Step
        self.ram = (ctypes.c_uint8 * 0x800).from_address(library.Memory(self.handle))
        self.pad = ctypes.c_uint8.from_address(library.Controller(self.handle, 0))
        pixels = (ctypes.c_uint32 * (_HEIGHT * _WIDTH)).from_address(library.Screen(self.handle))
        self.pixels: NDArray[np.uint32] = np.ctypeslib.as_array(pixels).reshape(_HEIGHT, _WIDTH)
        self.log = array("I")
        self.anchor: bytes | None = None

    def step(self, buttons: int) -> None:
        self.log.append(buttons)
        self.pad.value = buttons
        self.step_once(self.handle)

    def write(self, address: int, value: int) -> None:
        self.log.append(_WRITE | address << 8 | value)
        self.ram[address] = value

    def drop_anchor(self) -> None:
        self._library.Backup(self.handle)
        self.anchor = self.log.tobytes()

    def go_to(self, log: bytes) -> None:
        """Bring the console to the end of ``log``, which begins with the anchor if there is one."""
        if self.anchor is not None:
            self._library.Restore(self.handle)
            self.log = array("I", self.anchor)
        rest = array("I", log[len(self.log) * self.log.itemsize :])
        for entry in rest:
            if entry & _WRITE:
                self.write((entry & ~_WRITE) >> 8, entry & 0xFF)
            else:
                self.step(entry)

    def close(self) -> None:
        self._library.Close(self.handle)


class NesPyEmulator:
    """`Emulator` on nes-py.

    The library can put one state aside inside a console but hand none out. A console is deterministic
    from power-on, so a saved state is the log of buttons and RAM writes since then, 4 bytes a frame:
    exact, small, and good in any process. Loading replays what lies between the latest state this
    emulator can jump back to and the one wanted, at about 2 ms a frame. It can jump to the first state
    saved after each power-on, which for an environment is the start of each stage, so `reset` replays
    nothing; a state from the middle of an episode costs its frames since the start.
    """

    name = "nes-py"

    def __init__(self, rom: Path) -> None:
        self._rom = rom
        self._cores: OrderedDict[bytes, _Core] = OrderedDict()
        self._core = _Core(rom)

    def step(self, buttons: int) -> None:
        self._core.step(buttons)

    def read(self, address: int) -> int:
        return self._core.ram[address]

    def write(self, address: int, value: int) -> None:
        self._core.write(address, value)

    def screen(self) -> Screen:
        return to_fceumm(self._core.pixels[_VISIBLE])

    def save_state(self) -> bytes:
        core = self._core
        if core.log and core.anchor is None:
            self._anchor(core)
        return _TAG + core.log.tobytes()

    def load_state(self, state: bytes) -> None:
        log = unpack_state(state, _TAG, self.name)
        if len(log) % 4:
            raise InputError(f"state: expected whole 4-byte entries, found {len(log)} bytes")
        known = [core for anchor, core in self._cores.items() if log.startswith(anchor)]
        core = max(known, key=lambda core: len(core.anchor or b"")) if known else _Core(self._rom)
        if self._core.anchor is None:
            self._core.close()
        self._core = core
        core.go_to(log)
        if log and core.anchor is None:
            self._anchor(core)
        elif core.anchor is not None:
            self._cores.move_to_end(core.anchor)

    def close(self) -> None:
        if not self.__dict__:
            return
        for core in {id(core): core for core in (self._core, *self._cores.values())}.values():
            core.close()
        # The consoles' memory is gone: from here on every use ends in __getattr__.
        self.__dict__.clear()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("this emulator was closed")

    def _anchor(self, core: _Core) -> None:
        core.drop_anchor()
        assert core.anchor is not None
        self._cores[core.anchor] = core
        if len(self._cores) > _MOST_CORES:
            self._cores.popitem(last=False)[1].close()

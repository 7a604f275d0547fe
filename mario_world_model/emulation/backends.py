"""Which emulator runs here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mario_world_model.config import BackendChoice
from mario_world_model.emulation.emulator import Emulator
from mario_world_model.errors import InputError


def installed(backend: BackendChoice) -> bool:
    """Whether a backend can be imported here ("auto": any of them)."""
    modules = {"stable-retro": ["stable_retro"], "nes-py": ["nes_py"], "auto": ["stable_retro", "nes_py"]}
    return any(importlib.util.find_spec(module) is not None for module in modules[backend])


def open_emulator(backend: BackendChoice, rom: Path) -> Emulator:
    """Switch a console on with ``rom`` in it.

    Args:
        backend: "stable-retro", "nes-py", or "auto" for stable-retro where it is installed, else nes-py.
        rom: iNES file, as `rom.find_rom` returns it.

    Raises:
        InputError: the backend is not installed or there is none of that name.
    """
    if backend not in ("auto", "stable-retro", "nes-py"):
        raise InputError(f"backend: expected auto, stable-retro or nes-py, found {backend!r}")
    if not installed(backend):
        wanted = "stable-retro or nes-py" if backend == "auto" else backend
        advice = "pip install --no-deps nes-py==8.2.1" if backend == "nes-py" else "pip install stable-retro"
        raise InputError(f"backend: expected {wanted} to be installed, found no such package; try `{advice}`")
    if backend == "stable-retro" or (backend == "auto" and installed("stable-retro")):
        from mario_world_model.emulation.stable_retro_backend import StableRetroEmulator

        return StableRetroEmulator(rom)
    from mario_world_model.emulation.nes_py_backend import NesPyEmulator

    return NesPyEmulator(rom)

"""Fixtures shared by all tests: the ROM, the backends that are installed here, and the browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mario_world_model.config import BackendChoice
from mario_world_model.emulation.backends import installed, open_emulator
from mario_world_model.emulation.emulator import Emulator
from mario_world_model.emulation.rom import fetch_rom, find_rom
from mario_world_model.emulation.stages import ROM_MODES, RomMode
from mario_world_model.errors import InputError
from tests.browser import browser

__all__ = ["browser"]

# Found by search on stable-retro; action x steps, SIMPLE_MOVEMENT, frame_skip 4.
_FLAG_RUN = """
    4x1 1x1 2x9 3x11 4x7 6x9 3x6 4x11 3x4 4x1 2x9 0x2 1x20 4x6 1x10 4x8 3x2 1x10 3x5 4x6 3x9 1x5 3x2
    4x11 2x4 1x3 3x6 4x11 3x5 6x1 2x8 3x1 4x10 3x12 0x1 3x2 4x14 3x3 2x1 4x4 2x4 6x1 2x8 4x5 0x8 2x3
    3x4 4x6 3x2 2x4 4x2 1x7 4x2 2x4 1x3 0x9 4x8 3x6 2x6 6x4 4x7 2x2 4x1 3x10 4x4 3x8 4x3 2x5 6x5 0x7
    3x2 0x6 4x3 0x8 4x15 2x2 1x7 4x3
"""


@pytest.fixture(scope="session")
def flag_run() -> list[int]:
    """Actions that take Mario from the start of 1-1 to the flag on either backend, 445 steps."""
    runs = (word.split("x") for word in _FLAG_RUN.split())
    return [int(action) for action, steps in runs for _ in range(int(steps))]


@pytest.fixture(scope="session")
def roms() -> dict[RomMode, Path]:
    """All four ROMs; brought from the package index if this machine has none."""
    try:
        return {mode: find_rom(mode) for mode in ROM_MODES}
    except InputError:
        fetch_rom()
        return {mode: find_rom(mode) for mode in ROM_MODES}


@pytest.fixture(scope="session")
def rom(roms: dict[RomMode, Path]) -> Path:
    """The vanilla ROM."""
    return roms["vanilla"]


@pytest.fixture(params=["stable-retro", "nes-py"])
def backend(request: pytest.FixtureRequest) -> BackendChoice:
    """Each backend in turn, with a ROM for it to run; those not installed are skipped."""
    name: BackendChoice = request.param
    request.getfixturevalue("rom")
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def emulator(backend: BackendChoice, rom: Path) -> Iterator[Emulator]:
    """A console just switched on, on each backend in turn."""
    console = open_emulator(backend, rom)
    yield console
    console.close()

"""`mario-world-model rom`: get the game's ROM, or take in a dump of one's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mario_world_model.command import run_command
from mario_world_model.emulation.rom import fetch_rom, find_rom, install_rom
from mario_world_model.errors import InputError


@dataclass(frozen=True)
class RomConfig:
    """Get the ROM of Super Mario Bros into the cache folder.

    Without --rom it is found on this machine, or else taken from the gym-super-mario-bros package,
    which pip downloads. Its SHA-1 is checked either way.
    """

    rom: Path | None = None
    """A dump of your own to take in instead."""


def get_rom(config: RomConfig) -> Path:
    """The vanilla ROM's path, after getting it if need be."""
    if config.rom is not None:
        return install_rom(config.rom)
    try:
        return find_rom("vanilla")
    except InputError:
        return fetch_rom()


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(RomConfig, lambda config: print(get_rom(config)), "mario-world-model rom", arguments)


if __name__ == "__main__":
    sys.exit(main())

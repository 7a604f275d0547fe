"""Where the game's ROM is, whether it is the right one, and how to get it.

The ROM belongs to its maker: it is never part of this project. It is found on the user's machine or
taken, at the user's command, from the package that has always carried it, gym-super-mario-bros.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import platformdirs

from mario_world_model.emulation.stages import RomMode
from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole

ENV_VARIABLE: Final = "MARIO_ROM"
PACKAGE: Final = "gym-super-mario-bros==7.4.0"

ROM_SHA1: Final[dict[RomMode, str]] = {
    "vanilla": "ab30029efec6ccfc5d65dfda7fbc6e6489a80805",
    "downsample": "4bf894b301f339bce306af4813923a9900d034d1",
    "pixel": "63a520bf1a2911d7f3c343cbda42c1969e0ae184",
    "rectangle": "b0e9b156a51017c33a6b76708fc71395f8d32b15",
}
"""SHA-1 of the whole file, for each picture of the game."""

VANILLA_GAME_SHA1: Final = (
    "0c4992fc08d2278697339d3b48066e7b5f943598",
    "facee9c577a5262dbe33ac4930bb0b58c8c037f7",
)
"""SHA-1 of a vanilla game without its header, in which dumps differ: the one in gym-super-mario-bros,
which everything here was measured on, and the cartridge's, which stable-retro lists."""

_FILE_NAMES: Final[dict[RomMode, str]] = {
    "vanilla": "super-mario-bros.nes",
    "downsample": "super-mario-bros-downsample.nes",
    "pixel": "super-mario-bros-pixel.nes",
    "rectangle": "super-mario-bros-rectangle.nes",
}
_MAGIC: Final = b"NES\x1a"
_HEADER_BYTES: Final = 16


def cache_folder() -> Path:
    """The user's own folder for ROMs; it may not exist yet."""
    return Path(platformdirs.user_cache_dir("mario-world-model"))


def rom_sha1(path: Path) -> str:
    """SHA-1 of a ROM file, hex; recorded with every episode."""
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def find_rom(mode: RomMode = "vanilla", path: Path | None = None) -> Path:
    """The ROM for ``mode``, checked.

    Looked for at ``path``; where `MARIO_ROM` points (passed over when it is a ROM of another mode); in
    the cache folder; in an installed gym-super-mario-bros of any version, which is not imported.

    Raises:
        InputError: there is none, or the file found is not the game.
    """
    if mode not in ROM_SHA1:
        raise InputError(f"mode: expected one of {', '.join(ROM_SHA1)}, found {mode!r}")
    if path is not None:
        _require(path, mode, "--rom")
        return path
    if named := os.environ.get(ENV_VARIABLE):
        found = identify(Path(named), ENV_VARIABLE)
        if found == mode:
            return Path(named)
    cached = cache_folder() / _FILE_NAMES[mode]
    if cached.exists():
        _require(cached, mode, "cache folder")
        return cached
    for folder in _package_folders():
        for candidate in folder.rglob(_FILE_NAMES[mode]):
            _require(candidate, mode, "installed gym-super-mario-bros")
            return candidate
    raise InputError(
        f"ROM: expected the {mode} ROM of Super Mario Bros, found none; "
        f"run `mario-world-model rom`, pass `--rom PATH` or set {ENV_VARIABLE}"
    )


def identify(path: Path, where: str) -> RomMode:
    """Which picture of the game the file at ``path`` holds.

    Args:
        path: File to look at.
        where: Where the path came from, for the error.

    Raises:
        InputError: no such file, not an iNES file, or another game.
    """
    if not path.is_file():
        raise InputError(f"ROM ({where}): expected a file, found nothing at {path}")
    content = path.read_bytes()
    if path.suffix.lower() != ".nes" or not content.startswith(_MAGIC):
        raise InputError(f"ROM ({where}): expected an iNES file named *.nes, found something else at {path}")
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    for mode, expected in ROM_SHA1.items():
        if sha1 == expected:
            return mode
    if hashlib.sha1(content[_HEADER_BYTES:], usedforsecurity=False).hexdigest() in VANILLA_GAME_SHA1:
        return "vanilla"
    raise InputError(
        f"ROM ({where}): expected SHA-1 {ROM_SHA1['vanilla']} (vanilla) or another of the four, found {sha1} at {path}"
    )


def install_rom(path: Path) -> Path:
    """Copy a dump of one's own into the cache folder, under the name of the picture it holds.

    Raises:
        InputError: the file is not the game.
    """
    return _store(path.read_bytes(), identify(path, "dump"))


def fetch_rom() -> Path:
    """Download gym-super-mario-bros, take its four ROMs into the cache folder, return the vanilla one.

    Raises:
        InputError: the download failed, or the package holds something else.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            scratch,
            PACKAGE,
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if result.returncode != 0 or not wheels:
            reason = (result.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise InputError(f"ROM: expected `pip download {PACKAGE}` to bring a wheel, found: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            contents = {mode: wheel.read(f"gym_super_mario_bros/_roms/{name}") for mode, name in _FILE_NAMES.items()}
    for mode, content in contents.items():
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if sha1 != ROM_SHA1[mode]:
            raise InputError(f"ROM: expected SHA-1 {ROM_SHA1[mode]} ({mode}), found {sha1} in {wheels[0].name}")
    stored = {mode: _store(content, mode) for mode, content in contents.items()}
    return stored["vanilla"]


def _require(path: Path, mode: RomMode, where: str) -> None:
    found = identify(path, where)
    if found != mode:
        raise InputError(f"ROM ({where}): expected the {mode} ROM, found the {found} one at {path}")


def _store(content: bytes, mode: RomMode) -> Path:
    target = cache_folder() / _FILE_NAMES[mode]
    with written_whole(target) as temporary:
        temporary.write_bytes(content)
    return target


def _package_folders() -> list[Path]:
    spec = importlib.util.find_spec("gym_super_mario_bros")
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [Path(folder) for folder in spec.submodule_search_locations]

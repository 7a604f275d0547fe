"""Finding, checking, storing and fetching the ROM."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mario_world_model.emulation import rom as roms_module
from mario_world_model.emulation.rom import ROM_SHA1, fetch_rom, find_rom, identify, install_rom, rom_sha1
from mario_world_model.emulation.stages import RomMode
from mario_world_model.errors import InputError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with an empty cache folder, which is returned, no variable and no package."""
    monkeypatch.delenv("MARIO_ROM", raising=False)
    monkeypatch.setattr(roms_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path / "cache"))
    monkeypatch.setattr(roms_module, "_package_folders", list)
    return tmp_path / "cache"


def refused(*words: str) -> Any:
    return pytest.raises(InputError, match="^ROM[^\n]*" + "[^\n]*".join(words) + "[^\n]*$")


@pytest.mark.usefixtures("bare")
def test_missing_rom_names_the_three_remedies() -> None:
    with refused("found none", "mario-world-model rom", "--rom PATH", "MARIO_ROM"):
        find_rom()


@pytest.mark.usefixtures("bare")
def test_wrong_file_is_refused(tmp_path: Path, rom: Path) -> None:
    other = tmp_path / "other.nes"
    other.write_bytes(rom.read_bytes()[:-1] + b"\0\0")
    with refused(f"expected SHA-1 {ROM_SHA1['vanilla']}", f"found {rom_sha1(other)}"):
        find_rom("vanilla", other)
    (tmp_path / "notes.nes").write_bytes(b"hello")
    with refused("expected an iNES file"):
        find_rom("vanilla", tmp_path / "notes.nes")
    with refused("expected a file, found nothing"):
        find_rom("vanilla", tmp_path / "nowhere.nes")


@pytest.mark.usefixtures("bare")
def test_rom_of_another_mode_is_refused_where_it_was_named(roms: dict[RomMode, Path]) -> None:
    with refused("expected the vanilla ROM, found the pixel one"):
        find_rom("vanilla", roms["pixel"])


@pytest.mark.usefixtures("bare")
def test_dump_with_another_header_is_the_game(tmp_path: Path, rom: Path) -> None:
    dump = tmp_path / "mine.NES"
    content = bytearray(rom.read_bytes())
    content[12] = 0x44
    dump.write_bytes(content)
    assert identify(dump, "test") == "vanilla"
    assert find_rom("vanilla", dump) == dump


def test_order_variable_cache_package(
    bare: Path, roms: dict[RomMode, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "package" / "_roms"
    package.mkdir(parents=True)
    (package / "super-mario-bros.nes").write_bytes(roms["vanilla"].read_bytes())
    monkeypatch.setattr(roms_module, "_package_folders", lambda: [package.parent])
    assert find_rom() == package / "super-mario-bros.nes"

    cached = install_rom(roms["vanilla"])
    assert cached.parent == bare
    assert list(bare.iterdir()) == [cached]  # nothing half-written left beside it
    assert find_rom() == cached

    monkeypatch.setenv("MARIO_ROM", str(roms["vanilla"]))
    assert find_rom() == roms["vanilla"]
    monkeypatch.setenv("MARIO_ROM", str(roms["pixel"]))
    assert find_rom() == cached
    assert find_rom("pixel") == roms["pixel"]
    monkeypatch.setenv("MARIO_ROM", str(tmp_path / "gone.nes"))
    with refused("MARIO_ROM", "found nothing"):
        find_rom()


def test_spoilt_cache_is_reported(bare: Path) -> None:
    bare.mkdir()
    (bare / "super-mario-bros.nes").write_bytes(b"NES\x1a and no more")
    with refused("cache folder", "expected SHA-1"):
        find_rom()


@pytest.mark.usefixtures("bare")
def test_a_rom_is_on_the_disk_before_it_takes_its_place(
    roms: dict[RomMode, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (done.append("fsync"), sync(file))[1])
    monkeypatch.setattr("os.replace", lambda *paths: (done.append("replace"), replace(*paths))[1])
    cached = install_rom(roms["vanilla"])
    assert done == ["fsync", "replace", "fsync"]
    assert list(cached.parent.iterdir()) == [cached]


def test_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gym_super_mario_bros"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert roms_module._package_folders() == [package]
    assert "gym_super_mario_bros" not in sys.modules


def fake_pip(monkeypatch: pytest.MonkeyPatch, contents: dict[str, bytes] | None) -> None:
    """`pip download` that leaves a wheel with ``contents``, or fails with None."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if contents is None:
            return subprocess.CompletedProcess(command, 1, "", "first line\nERROR: no such package\n")
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "gym_super_mario_bros-7.4.0-py3-none-any.whl", "w") as wheel:
            for name, content in contents.items():
                wheel.writestr(f"gym_super_mario_bros/_roms/{name}", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def test_fetch_stores_all_four(bare: Path, roms: dict[RomMode, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    names = roms_module._FILE_NAMES
    fake_pip(monkeypatch, {names[mode]: path.read_bytes() for mode, path in roms.items()})
    assert fetch_rom() == bare / "super-mario-bros.nes"
    assert {rom_sha1(path) for path in bare.iterdir()} == set(ROM_SHA1.values())


def test_fetch_says_why_it_failed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, None)
    with refused("pip download gym-super-mario-bros==7.4.0", "ERROR: no such package"):
        fetch_rom()
    fake_pip(monkeypatch, dict.fromkeys(roms_module._FILE_NAMES.values(), b"something else"))
    with refused("expected SHA-1", "found"):
        fetch_rom()
    assert not bare.exists()

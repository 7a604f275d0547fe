from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mario_world_model.errors import InputError
from mario_world_model.utils.executor import open_executor
from mario_world_model.utils.parcels import pack, unpack


@dataclass(frozen=True)
class Errand:
    rom: Path
    output: Path
    start: bytes


def read(errand: Errand) -> bytes:
    return errand.rom.read_bytes() + errand.start


def test_a_parcel_brings_the_files_that_its_task_names(tmp_path: Path) -> None:
    rom = tmp_path / "game.nes"
    rom.write_bytes(b"NES")
    parcel = pack(read, Errand(rom, tmp_path / "not there yet", b"1"))
    contents = {sha256: path.read_bytes() for sha256, path in parcel.files.items()}
    rom.unlink()
    asked: list[str] = []

    def fetch(sha256: str) -> bytes:
        asked.append(sha256)
        return contents[sha256]

    for _ in range(2):
        function, task = unpack(parcel.content, fetch)
        assert function(task) == b"NES1"
        assert task.rom.name == "game.nes"
        assert task.output == tmp_path / "not there yet"
    assert len(asked) == 1


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(b"old")
    (old,) = pack(read, Errand(path, tmp_path, b"")).files
    path.write_bytes(b"newer")
    (new,) = pack(read, Errand(path, tmp_path, b"")).files
    assert old != new


def test_what_a_command_runs_is_known_by_its_module_on_a_node() -> None:
    code = (
        "import sys; from mario_world_model.utils import parcels\n"
        "sys.modules['__main__'].__spec__ = parcels.__spec__\n"
        "def pack(): pass\n"
        "print(parcels.unpack(parcels.pack(pack, 1).content, bytes)[0] is parcels.pack)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_a_cluster_without_ray_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "mario_world_model.utils.ray_executor", raising=False)
    with pytest.raises(InputError, match="expected Ray to be installed, found none; pip install"):
        open_executor("auto", 1)


def test_nobody_who_stays_at_home_imports_ray() -> None:
    code = (
        "import sys; import mario_world_model.training.pipeline\n"
        "from mario_world_model.utils.executor import open_executor\n"
        "with open_executor(None, 1):\n    print('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"

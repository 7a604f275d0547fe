from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mario_world_model.errors import InputError
from mario_world_model.rollouts.archive import Archive, cell_of, read_archive, write_archive


def test_cells_are_drawn_evenly_and_the_level_start_as_often_as_asked() -> None:
    archive = Archive()
    rng = np.random.default_rng(0)
    assert archive.draw(rng, 0.8) is None
    archive.add({(1, 1, cell): bytes([cell]) for cell in range(4)})
    drawn = [archive.draw(rng, 0.8) for _ in range(4000)]
    for cell in range(4):
        assert drawn.count(bytes([cell])) == pytest.approx(800, abs=150)
    assert drawn.count(None) == pytest.approx(800, abs=150)
    assert archive.draw(rng, 0.0) is None
    assert archive.draw(rng, 1.0) is not None


def test_the_latest_state_of_a_cell_is_kept() -> None:
    archive = Archive()
    archive.add({cell_of(1, 1, 40): b"old"})
    archive.add({cell_of(1, 1, 63): b"new", cell_of(1, 1, 64): b"next"})
    assert archive.states == {(1, 1, 1): b"new", (1, 1, 2): b"next"}


def test_an_archive_survives_the_way_to_disk(tmp_path: Path) -> None:
    archive = Archive({(1, 1, 3): b"\x00\xffstate", (8, 4, 90): b"other"})
    write_archive(tmp_path / "a", archive, episodes=64)
    assert read_archive(tmp_path / "a") == (archive, 64)
    assert read_archive(tmp_path / "none") == (Archive(), 0)
    (tmp_path / "a").write_bytes(b"not an archive")
    with pytest.raises(InputError, match="expected the archive of an exploration"):
        read_archive(tmp_path / "a")


@pytest.mark.parametrize("key", ["[1, 1]", '["1", 1, 0]', "[[], 1, 0]", "{}", "[" * 3000])
def test_an_archive_of_other_cells_is_refused(tmp_path: Path, key: str) -> None:
    save_file({key: np.zeros(3, np.uint8)}, tmp_path / "a.safetensors", {"schema": "1", "episodes": "3"})
    with pytest.raises(InputError, match="expected the archive of an exploration, found a damaged file"):
        read_archive(tmp_path / "a.safetensors")

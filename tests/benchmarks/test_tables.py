"""What a benchmark found, on its way into documents."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Ceilings, Figure, Work
from benchmarks.gpu import Found
from benchmarks.tables import TABLES, insert
from mario_world_model.errors import InputError


def results() -> dict[str, Any]:
    ceilings = Ceilings(square=80.0, dream_shapes={"1536 × 512 → 512": 70.0}, copying=10.0)
    figures = [
        Figure("dream", "steps beside one at a time", 250.0, "×", 200.0, True, "25,000 beside 100 steps a second"),
        Figure("start", "--help", 0.42, "s", 0.3, False, "0.1 s of them Python's"),
    ]
    return {
        "machine": {"processor": "a processor", "cores": 2, "threads": 2, "torch": "2.13"},
        "repeats": 9,
        "ceilings": dataclasses.asdict(ceilings),
        "figures": [figure.plain() for figure in figures],
        "device": "a GPU",
        "cuda": "13.0",
        "gpu": [dataclasses.asdict(Found("V", "bfloat16", 2e5, "float32", 1e5, "images/s", 2.0, 5, 3e9, 97.0))],
        "growth": [{"caption": "Steps over candidates.", "file": "growth/population.svg"}],
        "work": [Work("dream", "step", 2e6, 4e3, 20_000.0, "2·Σ").plain(ceilings)],
    }


def test_every_table_takes_the_place_of_what_its_marks_enclose(tmp_path: Path) -> None:
    document = tmp_path / "speed.md"
    document.write_text("\n".join(f"before {name}\n<!-- bench {name} -->\nold\n<!-- /bench -->\n" for name in TABLES))
    for _ in range(2):
        insert(document, results())
        text = document.read_text()
        assert "old" not in text
        assert all(f"before {name}\n<!-- bench {name} -->\n" in text for name in TABLES)
        assert text.count("<!-- /bench -->") == len(TABLES)
    assert "| dream | steps beside one at a time | 25,000 beside 100 steps a second | 250 × | ≥ 200 × | yes |" in text
    assert "| 0.42 s | ≤ 0.3 s | no |" in text
    assert "| V | bfloat16 | 200,000 images/s | float32 | 100,000 images/s | 2 × | 3.00 GB | 97 % |" in text
    assert "![Steps over candidates.](growth/population.svg)" in text
    assert "| dream | step | 2.00 M | 4.0 k | 20,000 | 50% | 0.8% | 2·Σ |" in text


def test_tables_of_what_was_not_measured_are_left_alone(tmp_path: Path) -> None:
    document, some = tmp_path / "speed.md", results()
    del some["gpu"]
    document.write_text("<!-- bench gpu -->\nold\n<!-- /bench -->\n<!-- bench short -->\nold\n<!-- /bench -->\n")
    insert(document, some)
    assert document.read_text().startswith("<!-- bench gpu -->\nold\n<!-- /bench -->\n<!-- bench short -->\n| stage")


@pytest.mark.parametrize("content", ["no mark", "<!-- bench nonsense -->\n<!-- /bench -->"])
def test_a_document_without_a_place_for_a_table_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    document = tmp_path / "speed.md"
    document.write_text(content)
    with pytest.raises(InputError, match="expected <!-- bench NAME -->"):
        insert(document, results())
    assert document.read_text() == content

from __future__ import annotations

from dataclasses import asdict

from mario_world_model.evaluation.dream_against_reality import Agreement
from mario_world_model.evaluation.foresight import OpenLoop
from mario_world_model.report.document import Figure
from mario_world_model.report.dream_evidence import dream_evidence


def row(horizon: int, death: float | None, survived: float | None) -> dict[str, object]:
    return asdict(OpenLoop(horizon, 0.0, death, death, survived, deaths=3, windows=200))


def test_a_figure_that_nothing_shows_is_left_out() -> None:
    probe = {
        "agreement": asdict(Agreement(None, [1.0, 1.0], [2.0, 3.0], [1.0, 1.0], [2.0, 3.0])),
        "open_loop": [row(4, 0.5, None), row(8, None, None)],
    }
    figures = [block for block in dream_evidence("m", probe, 0).blocks if isinstance(block, Figure)]
    assert len(figures) == 2
    assert "Spearman –." in figures[0].caption
    drawing = str(figures[1].content)
    assert "death by its step" in drawing
    assert "where Mario survived" not in drawing

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mario_world_model import cli
from mario_world_model.config import RunConfig
from mario_world_model.emulation.stages import STAGES
from mario_world_model.errors import InputError
from mario_world_model.training import sweep
from mario_world_model.training.sweep import stages_of

pytestmark = pytest.mark.usefixtures("rom")


def pretend(config: RunConfig) -> None:
    """Leave what a run leaves."""
    if "2-3" in config.game.env:
        raise InputError("expected a stage without water")
    config.output.mkdir()
    agent = {"mean_max_x": 700.0 + config.workers, "std_max_x": 5.0, "flag_rate": 0.25}
    content = {"agent": agent, "random": agent, "rounds": [{}], "steps": 9, "vae": {"psnr_after": 30.0}, "seconds": 60}
    (config.output / "summary.json").write_text(json.dumps(content))


def test_every_stage_has_a_folder_and_a_row_and_one_that_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep, "run", pretend)
    flags = ["--stages", "1-1,2-3,8-4", "--workers", "2", "--env", "SuperMarioBros-v1", "--output", str(tmp_path)]
    assert cli.main(["run", *flags]) == 2
    said = capsys.readouterr()
    assert "| 8-4 | 9 | 30.0 dB | 1 | 702 ± 5 | 702 ± 5 | 25% | 1 |" in said.out
    assert "| 2-3 | not finished |" in said.out
    assert said.err.endswith("mario-world-model run: 2-3: expected a stage without water\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-1", "8-4", "sweep.json", "sweep.md"]
    assert (tmp_path / "sweep.md").read_text() == said.out


def test_stages_are_named_as_players_do() -> None:
    assert stages_of("all") == list(STAGES)
    assert stages_of("1-2, 8-4") == [(1, 2), (8, 4)]
    for wrong in ("1", "9-1", "1-1,1-1", "1-5", ""):
        with pytest.raises(InputError, match="--stages: expected all"):
            stages_of(wrong)

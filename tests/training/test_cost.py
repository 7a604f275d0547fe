"""What a training took, and whom it is known of."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from mario_world_model import cli
from mario_world_model.config import CollectConfig
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.training.gather_in_folder import FolderGathering
from mario_world_model.utils.cost import Cost, cost, cost_from_plain, cost_of, total
from mario_world_model.utils.provenance import cores
from tests.rollouts.episodes import made_up_episode

LINE = "train-vae --preset debug --device cpu --dataset d.pkl"


def test_core_hours_are_wall_clock_times_cores_in_use() -> None:
    assert cost(7200.0, 1) == Cost(7200.0, 1, 2.0)
    assert cost(7200.0, 1, 0.5, 0.25, data=3.0) == Cost(7200.0, 1, 2.75, 3.0)
    assert cost(3600.0, 1000).core_hours == cores()
    assert cost(7200.0, 1, None).core_hours is None
    assert (total(1.0, 2.0), total(1.0, None), total()) == (3.0, None, 0.0)


@pytest.mark.parametrize("plain", [None, {}, {"seconds": 1.0, "cores": 1, "core_hours": "2"}, {"core_hours": -1.0}])
def test_what_is_no_cost_is_unknown(plain: object) -> None:
    assert cost_from_plain(plain) is None


def test_a_training_that_goes_on_from_another_adds_to_its_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "d.pkl", [made_up_episode(index, steps=40) for index in range(4)])
    assert cli.main(f"{LINE} --output v.pt".split()) == 0
    assert cli.main(f"{LINE} --init v.pt --output w.pt".split()) == 0
    first, second = cost_of(tmp_path / "v.pt"), cost_of(tmp_path / "w.pt")
    assert first is not None
    assert second is not None
    assert first.core_hours == pytest.approx(first.seconds * first.cores / 3600)
    assert second.core_hours == pytest.approx(first.core_hours + second.seconds * second.cores / 3600)
    log = min(Path("logs/vae").glob("*/scalars.jsonl"))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert 0.0 < rows[0]["cost/seconds"] < rows[-1]["cost/seconds"] <= first.seconds
    # Nobody knows what a file cost that is not the one noted, nor what went on from it.
    (tmp_path / "v.pt.json").unlink()
    assert cli.main(f"{LINE} --init v.pt --output x.pt".split()) == 0
    unknown = cost_of(tmp_path / "x.pt")
    assert unknown is not None
    assert unknown.core_hours is None
    (tmp_path / "w.pt").write_bytes(b"another")
    assert cost_of(tmp_path / "w.pt") is None
    assert cost_of(tmp_path / "none.pt") is None


def test_the_time_of_an_interrupted_collection_counts(tmp_path: Path) -> None:
    for sitting in (1, 2):
        gathering = FolderGathering(CollectConfig(), tmp_path / "d")
        gathering.begin()
        before = gathering.seconds
        with contextlib.suppress(KeyboardInterrupt), gathering.timed():
            gathering.note_time()
            raise KeyboardInterrupt
        assert gathering.seconds > before, sitting

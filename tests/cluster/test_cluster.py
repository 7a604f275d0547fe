"""The same results on a cluster as at home, bit for bit, whichever nodes are lost on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_world_model import cli
from mario_world_model.config import CollectConfig, DreamConfig, EvaluateConfig, TrainControllerConfig
from mario_world_model.errors import InputError
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training.data_collection import collect
from mario_world_model.training.evaluate import evaluate
from mario_world_model.training.gather_in_folder import FolderGathering
from mario_world_model.training.train_controller import path_file, train_controller
from mario_world_model.utils.checkpoint import load_checkpoint
from mario_world_model.utils.executor import open_executor
from mario_world_model.utils.processes import assigned_device
from tests.world import save_world, small_world

pytestmark = [
    pytest.mark.usefixtures("rom", "cluster"),
    pytest.mark.filterwarnings("default"),  # Ray's are Ray's
]


def collection(output: Path, **changes: Any) -> CollectConfig:
    return dataclasses.replace(CollectConfig(policy="biased", episodes=10, max_steps=60, output=output), **changes)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that do not see the folder of the data set."""
    monkeypatch.setattr(FolderGathering, "mark", lambda gathering: gathering.folder / "nowhere")


def test_a_node_lost_in_mid_collection_changes_nothing(
    lose_a_node: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_home = open_dataset(collect(collection(tmp_path / "home", workers=1)))
    assert open_dataset(collect(collection(tmp_path / "away", cluster="auto"))).fingerprint == at_home.fingerprint
    assert lose_a_node
    # What was running there, no more: one task at work and at most one waiting beside it.
    assert 1 <= capsys.readouterr().err.count("its task is run again") <= 2


@pytest.mark.usefixtures("away")
def test_episodes_come_back_from_nodes_that_share_no_folder(tmp_path: Path) -> None:
    explore = {"policy": "explore", "episodes": 34, "max_steps": 6}
    at_home = open_dataset(collect(collection(tmp_path / "home", workers=1, **explore)))
    away = open_dataset(collect(collection(tmp_path / "away", cluster="auto", **explore)))
    assert away.fingerprint == at_home.fingerprint


def test_an_agent_scores_on_nodes_as_it_does_at_home(tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    config = EvaluateConfig(
        vae=tmp_path / "v.pt", mdnrnn=tmp_path / "m.pt", controller=tmp_path / "c.pt", episodes=3, max_steps=30
    )
    at_home, away = (evaluate(dataclasses.replace(config, workers=1, cluster=where)) for where in (None, "auto"))
    assert away.scores == at_home.scores


def evolution(folder: Path, name: str, **changes: Any) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """The means that an evolution passed through, and all that it logged."""
    config = TrainControllerConfig(
        vae=folder / "v.pt", mdnrnn=folder / "m.pt", output=folder / f"{name}.pt", logs=folder / name, workers=1
    )
    train_controller(dataclasses.replace(config, **changes))
    path = load_checkpoint(path_file(folder / f"{name}.pt"), "controller").tensors
    (log,) = (folder / name).rglob("scalars.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return torch.cat([path[key].flatten() for key in sorted(path)]), [
        {key: value for key, value in line.items() if key not in ("time", "cost/seconds")} for line in lines
    ]


def test_a_node_lost_in_mid_generation_changes_nothing(lose_a_node: list[int], tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    settings = {
        "dream": DreamConfig(horizon=12),
        "population_size": 96,
        "starts_per_candidate": 16,
        "iterations": 4,
        "dream_parts": 6,
    }
    path, log = evolution(tmp_path, "home", **settings)
    path_away, log_away = evolution(tmp_path, "away", cluster="auto", **settings)
    assert lose_a_node
    assert torch.equal(path, path_away)
    assert log == log_away


def test_the_real_game_scores_candidates_on_nodes_as_it_does_at_home(tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    settings = {
        "fitness": "real",
        "max_steps": 12,
        "population_size": 4,
        "starts_per_candidate": 2,
        "iterations": 2,
    }
    path, log = evolution(tmp_path, "home", **settings)
    path_away, log_away = evolution(tmp_path, "away", cluster="auto", **settings)
    assert torch.equal(path, path_away)
    assert log == log_away


def touch(path: Path) -> bytes:
    path.touch()
    return bytes(1_000_000)


def test_whoever_is_slow_with_results_holds_back_the_others(tmp_path: Path) -> None:
    with open_executor("auto", 0) as executor:
        results = executor.run(touch, [tmp_path / str(number) for number in range(40)])
        next(results)
        time.sleep(5)
        # Two for each of two cores are under way, and one has been taken.
        assert len(list(tmp_path.iterdir())) <= 5
        results.close()  # type: ignore[attr-defined]


def where(_: int) -> tuple[str, str]:
    return assigned_device(), os.environ.get("CUDA_VISIBLE_DEVICES", "all")


def test_a_task_on_a_gpu_sees_that_one_alone(cluster: Any) -> None:
    """The GPUs are two that Ray is told of: what it gives to whom needs no more."""
    smallest_node = pytest.importorskip("mario_world_model.utils.ray_executor").smallest_node
    with pytest.raises(InputError, match="--dream-on gpus: expected a cluster with GPUs, found none in it"):
        open_executor("auto", 0, gpus=1)
    node = cluster.add_node(num_cpus=2, num_gpus=2)
    try:
        assert smallest_node("auto") == (1, 0)  # the others have none
        with open_executor("auto", 0, gpus=1) as executor:
            found = [result for _, result in executor.run(where, range(4))]
        with open_executor("auto", 0, cores=2, gpus=2) as executor:
            both = [result for _, result in executor.run(where, range(1))]
    finally:
        cluster.remove_node(node)
    assert len(found) == 4
    assert set(found) <= {("cuda", "0"), ("cuda", "1")}
    assert both == [("cuda", "0,1")]


def mistake(number: int) -> None:
    raise InputError(f"number {number} is a mistake")


def test_a_mistake_of_the_users_comes_back_as_one() -> None:
    with open_executor("auto", 0) as executor, pytest.raises(InputError, match="number 7 is a mistake"):
        list(executor.run(mistake, [7]))


def test_stages_of_the_game_run_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--preset", "debug", "--rounds", "1", "--stages", "1-1,1-2", "--cluster", "auto"]
    assert cli.main(["run", *flags, "--output", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out.count("dB") == 2
    assert (tmp_path / "runs" / "1-2" / "agent.mp4").exists()

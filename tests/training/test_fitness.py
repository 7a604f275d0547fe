from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mario_world_model.checkpoints import save_controllers
from mario_world_model.config import DreamConfig, Precision, TrainControllerConfig
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.mdn_rnn import DEATH
from mario_world_model.training.fitness import DreamFitness, DreamsInParts
from mario_world_model.training.train_controller import fittest
from mario_world_model.utils.checkpoint import load_checkpoint
from mario_world_model.utils.workers import WorkerPool
from tests.world import ACTIONS, save_world, small_world


class Backwards:
    """An executor whose tasks end in any order but theirs."""

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index in reversed(range(len(tasks))):
            yield index, function(tasks[index])

    def __enter__(self) -> Backwards:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("precision", get_args(Precision))
def test_a_population_dreamt_in_parts_scores_as_a_whole(tmp_path: Path, precision: Precision) -> None:
    world = small_world()
    save_world(tmp_path, world)
    vectors = torch.randn(7, parameter_count(world.features, ACTIONS), generator=torch.Generator().manual_seed(5))
    controllers = Controllers.from_vectors(vectors, world.features, ACTIONS, bound=1.0)
    config = DreamConfig(horizon=6)
    whole = DreamFitness(world.multiplying_in(precision), config, 20.0)(controllers, 4, 3)
    for parts in (1, 3, 7, 50):
        given = DreamsInParts(tmp_path / "v.pt", tmp_path / "m.pt", config, 20.0, parts, Backwards(), precision)
        near = 1e-4 if precision == "float32" else 1e-2
        np.testing.assert_allclose(given(controllers, 4, 3), whole, rtol=near, atol=10 * near)


def test_dreams_on_devices_of_workers_are_the_same_on_one_and_on_several(tmp_path: Path) -> None:
    """The CPU under several names stands for several GPUs: which part is dreamt where changes no bit."""
    world = small_world()
    save_world(tmp_path, world)
    vectors = torch.randn(8, parameter_count(world.features, ACTIONS), generator=torch.Generator().manual_seed(5))
    controllers = Controllers.from_vectors(vectors, world.features, ACTIONS, bound=1.0)

    def on(devices: Sequence[str]) -> NDArray[np.float64]:
        with WorkerPool(0, devices) as pool:
            dreams = DreamsInParts(tmp_path / "v.pt", tmp_path / "m.pt", DreamConfig(horizon=6), 20.0, 4, pool)
            return dreams(controllers, 4, 3)

    one = on(["cpu"])
    assert np.array_equal(one, on(["cpu:0", "cpu:1"]))


def test_the_fittest_of_some_controllers_is_the_one_that_dreams_best(tmp_path: Path) -> None:
    world = small_world(head_size=0)
    # A world in which the first action kills: the last numbers of a hidden state are the action.
    with torch.no_grad():
        odds = world.mdn_rnn.step_head.weight[1 + DEATH]
        odds.zero_()
        odds[-ACTIONS:] = torch.tensor([8.0, *[-8.0] * (ACTIONS - 1)])
    save_world(tmp_path, world)
    fingerprint = load_checkpoint(tmp_path / "m.pt", "mdn_rnn").fingerprint
    files = [tmp_path / f"c{number}.pt" for number in range(3)]
    for file, liking in zip(files, (2.0, -2.0, 0.0), strict=True):
        bias = torch.zeros(1, ACTIONS)
        bias[0, 0] = liking
        controller = Controllers(torch.zeros(1, ACTIONS, world.features), bias, bound=3.0)
        save_controllers(file, controller, world, fingerprint, {})
    config = TrainControllerConfig(vae=tmp_path / "v.pt", mdnrnn=tmp_path / "m.pt", dream=DreamConfig(horizon=6))
    assert fittest(files, config) == files[1]
    assert fittest(files[::2], config) == files[2]

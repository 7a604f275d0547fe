from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from mario_world_model.checkpoints import save_controllers
from mario_world_model.config import DreamConfig, TrainControllerConfig
from mario_world_model.dream import Dream, dream_outcomes
from mario_world_model.models.world_model import WorldModel
from mario_world_model.training import danger
from mario_world_model.training.danger import chances_of_death, dangerous_starts
from mario_world_model.training.train_controller import train_controller
from mario_world_model.utils.checkpoint import load_checkpoint
from tests.world import ACTIONS, save_world, small_world, who_prefers

CONFIG = DreamConfig(horizon=3)


def dangerous_world(sharp: float = 20.0) -> WorldModel:
    """A world in which some situations are safe, or some deadly where it is sharp, and others in between."""
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.weight[1] *= sharp
        world.mdn_rnn.step_head.bias[1] = -6.0
        world.mdn_rnn.step_head.bias[2] = -30.0
    return world


def test_a_chance_of_death_is_that_of_dreams_that_begin_there(monkeypatch: pytest.MonkeyPatch) -> None:
    world, controller = dangerous_world(), who_prefers(small_world(), 2)
    monkeypatch.setattr(danger, "_TRIES", 200)
    monkeypatch.setattr(danger, "_TOGETHER", 5)
    both = dataclasses.replace(
        controller,
        weight=torch.zeros(2, ACTIONS, world.features),
        bias=torch.cat([controller.bias, who_prefers(world, 5).bias]),
    )
    rows = torch.tensor([0, 9, 31, 3, 4, 8])
    found = chances_of_death(world, CONFIG, both, rows, seed=1)
    assert found.shape == (2, 6)
    for number, row in enumerate(rows[:3].tolist()):
        dream = Dream(world, CONFIG, 2, 400, weighed=True)
        alone = dream_outcomes(dream, both, 2, world.starts.of(torch.full((400,), row)))[1].mean(dim=1)
        assert found[:, number].tolist() == pytest.approx(alone.tolist(), abs=0.1)


@pytest.mark.parametrize("sharp", [3.0, 20.0])
def test_who_is_evolved_on_begins_where_it_sometimes_dies(sharp: float) -> None:
    world, controller = dangerous_world(sharp), who_prefers(small_world(), 2)
    chance = chances_of_death(world, CONFIG, controller, torch.arange(32), seed=1)[0]
    kept = dangerous_starts(world, CONFIG, controller, seed=1)
    first = world.starts.lengths == 0
    dangerous = ~first & (chance > 0.02) & (chance < 0.85)
    there = torch.zeros(32, dtype=torch.bool)
    there[kept] = True
    assert 0 < int(dangerous.sum()) < int((~first).sum())
    assert there[first | dangerous].all()
    safe = ~first & (chance <= 0.02)
    taught = int((there & ~first & ~safe).sum())
    assert 0 < int((there & safe).sum()) == min(round(taught / 2), int(safe.sum()))
    assert (~first & (chance >= 0.85)).any() == (sharp > 10.0)
    assert torch.equal(kept, kept.unique())


def test_who_always_dies_begins_there_if_another_action_saves_it() -> None:
    world, controller = dangerous_world(), who_prefers(small_world(), 2)
    chance = chances_of_death(world, CONFIG, controller, torch.arange(32), seed=1)[0]
    lost = torch.nonzero((world.starts.lengths > 0) & (chance >= 0.85)).flatten()
    holds = [
        chances_of_death(world, CONFIG, who_prefers(world, action), lost.repeat(20), seed=2)[0].view(20, -1).mean(dim=0)
        for action in range(ACTIONS)
    ]
    least = torch.stack(holds).amin(dim=0)
    kept = torch.isin(lost, dangerous_starts(world, CONFIG, controller, seed=1))
    assert kept[least < 0.7].all()
    assert not kept[least > 0.95].any()
    assert kept.any() != kept.all()


def test_where_nothing_is_dangerous_it_begins_anywhere() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1:] = -40.0
    assert torch.equal(dangerous_starts(world, CONFIG, who_prefers(world, 2), seed=1), torch.arange(32))


@pytest.mark.parametrize("in_danger", [True, False])
def test_all_who_dream_begin_in_the_same_situations(in_danger: bool, tmp_path: Path) -> None:
    world = dangerous_world()
    save_world(tmp_path, world)
    fingerprint = load_checkpoint(tmp_path / "m.pt", "mdn_rnn").fingerprint
    save_controllers(tmp_path / "first.pt", who_prefers(world, 2), world, fingerprint, {})
    figures = {
        parts: train_controller(
            TrainControllerConfig(
                vae=tmp_path / "v.pt",
                mdnrnn=tmp_path / "m.pt",
                init=tmp_path / "first.pt",
                output=tmp_path / f"c{parts}.pt",
                logs=tmp_path / "logs",
                dream=CONFIG,
                iterations=2,
                population_size=4,
                starts_per_candidate=8,
                begin_in_danger=in_danger,
                dream_parts=parts,
                precision="float32",
            )
        )
        for parts in (1, 2)
    }
    assert figures[2].fitness == pytest.approx(figures[1].fitness, rel=1e-3)

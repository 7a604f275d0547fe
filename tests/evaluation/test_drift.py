from __future__ import annotations

import pytest
import torch

from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.evaluation.drift import place_errors
from mario_world_model.models.vae import Posterior
from mario_world_model.rollouts.latents import LatentEpisode
from tests.world import ACTIONS, small_world


def rising(steps: int) -> LatentEpisode:
    """An episode in which Mario rises by a quarter of a tile a step, and nothing else happens."""
    mean = torch.zeros(steps + 1, 64)
    mean[:, LANDMARKS.index("y")] = torch.arange(steps + 1) / 4
    return LatentEpisode(
        Posterior(mean, torch.full_like(mean, -9.0)),
        torch.randint(ACTIONS, (steps,)),
        torch.ones(steps),
        torch.zeros(steps, 2),
    )


def test_a_dream_in_which_mario_stays_is_wrong_by_how_far_he_rose() -> None:
    world = small_world(head_size=0, anchor="present")
    with torch.no_grad():
        world.mdn_rnn.mixture_head.weight.zero_()
        world.mdn_rnn.mixture_head.bias.zero_()
    errors = place_errors(world, [rising(20), rising(9), rising(3)], steps=8, seed=0)
    assert errors == {"screen_x": pytest.approx(0.0), "y": pytest.approx(16 * 8 / 4)}
    assert place_errors(world, [rising(8)], steps=8, seed=0) == {}

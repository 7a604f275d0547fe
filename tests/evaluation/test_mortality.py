from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mario_world_model.config import DreamConfig
from mario_world_model.evaluation.mortality import mortality
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import DEATH, ENDINGS
from mario_world_model.models.vae import Posterior
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.latents import LatentEpisode
from tests.rollouts.episodes import made_up_episode
from tests.world import ACTIONS, small_world

_HORIZON = 10


def episode_of(steps: int, died: bool, first_x: int, world: WorldModel) -> tuple[Episode, LatentEpisode]:
    """An episode in which Mario walks ten pixels a step, as it is and in latent form."""
    episode = made_up_episode(0, steps=steps)
    truth = episode.truth.copy()
    truth[:, episode.info.truth_fields.index("x")] = first_x + 10 * np.arange(steps + 1)
    truth[:, episode.info.truth_fields.index("flag")] = 0
    info = dataclasses.replace(episode.info, terminated=died, truncated=not died)
    endings = torch.zeros(steps, ENDINGS)
    endings[-1, DEATH] = float(died)
    size = world.mdn_rnn.latent_size
    posterior = Posterior(torch.randn(steps + 1, size), torch.zeros(steps + 1, size))
    actions = torch.from_numpy(episode.actions.astype(np.int64))
    latent = LatentEpisode(posterior, actions, torch.zeros(steps), endings, from_level=True)
    return dataclasses.replace(episode, truth=truth, info=info), latent


def still(world: WorldModel) -> Controllers:
    return Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)


def test_the_game_s_answer_is_what_became_of_the_episode() -> None:
    world = small_world()
    pairs = [episode_of(40, True, 0, world), episode_of(40, False, 800, world)]
    found = mortality(world, still(world), *zip(*pairs, strict=True), DreamConfig(horizon=_HORIZON), 0)
    # Steps 0, 4, … 36 of the first; it died after step 40, within ten steps of 32 and 36. The second was broken off.
    died, other = found[0], found[1]
    assert (died.first, died.last, died.situations) == (0, 400, 10)
    assert died.real == pytest.approx(0.2)
    assert (other.situations, other.real) == (8, 0.0)
    assert found[-1].situations == 18
    assert found[-1].real == pytest.approx(2 / 18)


@pytest.mark.parametrize(("odds", "expected"), [(-20.0, 0.0), (20.0, 1.0)])
def test_the_dream_s_answer_is_its_chance_of_death(odds: float, expected: float) -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.weight.zero_()
        world.mdn_rnn.step_head.bias[1 + DEATH] = odds
        world.mdn_rnn.step_head.bias[2 - DEATH] = -20.0
    pairs = [episode_of(30, True, 0, world)]
    found = mortality(world, still(world), *zip(*pairs, strict=True), DreamConfig(horizon=_HORIZON), 0)
    assert found[-1].dreamt == pytest.approx(expected, abs=1e-3)


def test_without_a_situation_that_is_decided_there_is_nothing_to_say() -> None:
    world = small_world()
    pairs = [episode_of(5, False, 0, world)]
    assert mortality(world, still(world), *zip(*pairs, strict=True), DreamConfig(horizon=_HORIZON), 0) == []

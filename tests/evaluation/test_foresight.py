from __future__ import annotations

import numpy as np
import pytest
import torch

from mario_world_model.evaluation.foresight import dreamt_ending, one_step, open_loop, situations, survived_windows
from mario_world_model.models.mdn_rnn import DEATH
from mario_world_model.models.vae import Posterior
from mario_world_model.rollouts.latents import LatentEpisode
from tests.world import ACTIONS, small_world


def episode(steps: int, died: bool, seed: int) -> LatentEpisode:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(steps + 1, 64, generator=generator)
    endings = torch.zeros(steps, 2)
    endings[-1, DEATH] = float(died)
    actions = torch.randint(ACTIONS, (steps,), generator=generator)
    return LatentEpisode(Posterior(mean, torch.full_like(mean, -9.0)), actions, torch.ones(steps), endings)


EPISODES = [episode(30, True, 1), episode(20, False, 2), episode(9, True, 3), episode(40, True, 4)]


@torch.no_grad()
def test_one_step_figures_are_those_of_a_plain_count() -> None:
    world = small_world()
    found = one_step(world, EPISODES)
    deaths, survivals = [], []
    for one in EPISODES:
        memory = world.mdn_rnn.initial_memory(1)
        for step in range(len(one)):
            latents = one.posterior.mean[step : step + 1]
            memory = world.remember(latents, one.actions[step : step + 1], memory)
            logit = float(world.mdn_rnn.predict(memory.hidden, latents).ending_logits[0, DEATH])
            (deaths if one.endings[step, DEATH] else survivals).append(logit)
    assert (found.deaths, found.steps) == (3, 99)
    assert found.recall == pytest.approx(np.mean(np.array(deaths) > 0))
    assert found.false_alarms == pytest.approx(1000 * np.mean(np.array(survivals) > 0))
    above = [float(death > other) for death in deaths for other in survivals]
    assert found.auc == pytest.approx(np.mean(above), abs=1e-4)


@torch.no_grad()
def test_open_loop_is_fed_real_actions_and_own_latents() -> None:
    """On the likeliest path, against the steps written out one by one."""
    world = small_world()
    found = dreamt_ending(world, EPISODES, [(0, 26), (3, 4)], steps=6, temperature=0.0, seed=0, paths=1)
    for row, (number, first) in enumerate([(0, 26), (3, 4)]):
        one = EPISODES[number]
        memory = world.mdn_rnn.initial_memory(1)
        for step in range(max(0, first - 24), first):
            memory = world.remember(one.posterior.mean[step : step + 1], one.actions[step : step + 1], memory)
        latents, alive = one.posterior.mean[first : first + 1], 1.0
        for step in range(6):
            action = one.actions[min(first + step, len(one) - 1)].unsqueeze(0)
            memory = world.remember(latents, action, memory)
            prediction = world.mdn_rnn.predict(memory.hidden, latents)
            latents = prediction.latent.mean[:, int(prediction.latent.log_pi.argmax())]
            alive *= 1.0 - float(torch.sigmoid(prediction.ending_logits[0, DEATH]))
            assert found[row, step] == pytest.approx(1.0 - alive, abs=1e-4)


def test_survived_windows_end_before_the_episode_does() -> None:
    windows = survived_windows(EPISODES, 12, 500, np.random.default_rng(0))
    assert len(windows) == 500
    assert {number for number, _ in windows} == {0, 1, 3}
    assert all(first + 12 < len(EPISODES[number]) for number, first in windows)
    assert survived_windows(EPISODES, 100, 500, np.random.default_rng(0)) == []


def test_only_deaths_with_enough_steps_before_them_are_judged() -> None:
    found = open_loop(small_world(), EPISODES, horizon=12, temperature=1.0, seed=0, paths=2)
    assert found.deaths == 2
    assert found.death is not None
    assert found.death_late is not None
    assert 0.0 < found.death <= found.death_late <= 1.0


def test_what_no_episode_shows_has_no_figure() -> None:
    alive = [episode for episode in EPISODES if not episode.endings[-1, DEATH]]
    found = open_loop(small_world(), alive, horizon=12, temperature=0.0, seed=0)
    assert found.deaths == 0
    assert (found.death, found.death_late) == (None, None)
    assert found.survived is not None
    found = open_loop(small_world(), EPISODES, horizon=100, temperature=0.0, seed=0)
    assert (found.death, found.survived) == (None, None)


def test_situations_hold_what_led_to_them() -> None:
    latents, memory, actions = situations(small_world(), EPISODES, [(1, 0), (1, 15)], 8)
    assert torch.equal(latents[1], EPISODES[1].posterior.mean[15])
    assert not memory.hidden[0].any()
    assert memory.hidden[1].any()
    assert actions[1].tolist() == EPISODES[1].actions[15:20].tolist() + [int(EPISODES[1].actions[-1])] * 3

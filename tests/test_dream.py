from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_for_sb3
from torch import Tensor, nn

from mario_world_model.config import DreamConfig
from mario_world_model.dream import Dream, choose_starts, dream_returns
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.mixture import draw_gumbel, draw_noise
from mario_world_model.models.vae import Posterior
from mario_world_model.models.world_model import Starts
from tests.world import ACTIONS, save_world, small_world

STILL = DreamConfig(temperature=0.0, dream_sticky=0.0, horizon=12)


def controllers(count: int) -> Controllers:
    world = small_world()
    vectors = torch.randn(count, parameter_count(world.features, ACTIONS), generator=torch.Generator().manual_seed(5))
    return Controllers.from_vectors(vectors, world.features, ACTIONS, bound=1.0)


@torch.inference_mode()
def test_a_dream_step_is_the_prediction_that_training_made() -> None:
    """The same latents and actions through sequence training and through the dream (likeliest path)."""
    world = small_world()
    dream = Dream(world, STILL, candidates=1, starts=6)
    features, _ = dream.reset(3)
    luck = torch.Generator().manual_seed(3)
    starts = choose_starts(world.starts, 6, STILL.level_starts, luck)
    actions = torch.randint(ACTIONS, (1, 6))
    after, reward, *_ = dream.step(actions)
    for row in range(6):
        length = int(starts.lengths[row])
        first = starts.latents.shape[1] - 1 - length
        latents = starts.latents[row, first:].unsqueeze(0)
        taken = torch.cat([starts.actions[row, first:], actions[0, row : row + 1]]).unsqueeze(0)
        hidden, _ = world.mdn_rnn(latents, taken, world.mdn_rnn.initial_memory(1))
        expected = world.mdn_rnn.predict(hidden, latents)
        likeliest = expected.latent.log_pi[0, -1, :, 0].argmax()
        torch.testing.assert_close(after[0, row, :64], expected.latent.mean[0, -1, likeliest], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(after[0, row, 64:], hidden[0, -1], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(reward[0, row], expected.reward[0, -1].clamp(-30, 60), rtol=1e-4, atol=1e-3)
    assert features.shape == after.shape == (1, 6, world.features)


class _Eyes(nn.Module):
    """A V that sees whatever latents it is told to."""

    def show(self, latents: Tensor) -> None:
        self._posterior = Posterior(latents, torch.full_like(latents, -8.0))

    def encode(self, frames: Tensor) -> Posterior:
        del frames
        return self._posterior


@torch.inference_mode()
def test_the_agent_remembers_what_was_played_not_what_it_chose() -> None:
    """Sticky actions are not announced; M's own expectation of the next latents tells them apart."""
    torch.manual_seed(0)
    eyes = _Eyes()
    world = dataclasses.replace(small_world(head_size=0), vae=eyes)
    for parameter in world.mdn_rnn.parameters():
        parameter.mul_(2.0)  # actions of random weights hardly differ in what they lead to
    agent = Agent(world, controllers(1))
    frame = np.zeros((64, 64, 3), np.uint8)
    latents, memory, played, repeated = torch.randn(1, 64), world.mdn_rnn.initial_memory(1), 0, 0
    for step in range(60):
        eyes.show(latents)
        chosen = agent.act(frame)
        # The last digits, which two actions weighed at once leave otherwise, grow under such weights; another action
        # would be a difference of 1, since hidden states hold it.
        torch.testing.assert_close(agent._belief.memory.hidden[:1], memory.hidden, rtol=0.0, atol=0.01)
        repeated += step % 3 == 0 and chosen != played
        played = played if step % 3 == 0 else chosen
        noise = draw_noise((1,), 3, 1, 64, torch.Generator().manual_seed(step))
        imagined, memory = world.imagine(latents, torch.tensor([played]), memory, noise, temperature=0.0)
        latents = imagined.latents
    assert repeated > 5


@torch.inference_mode()
def test_the_agent_keeps_in_mind_all_that_may_have_been_played() -> None:
    """Where actions lead to the same, what is seen says nothing: what is left is how likely a repeat is."""
    eyes = _Eyes()
    world = dataclasses.replace(small_world(head_size=0), vae=eyes)
    for name, parameter in world.mdn_rnn.named_parameters():
        if not name.startswith("lstm"):
            parameter.zero_()  # M expects the same whatever happened
    agent = Agent(world, controllers(1))
    agent.reset(seed=1)
    frame, chosen, odds = np.zeros((64, 64, 3), np.uint8), 0, {0: 1.0}
    for _ in range(30):
        eyes.show(torch.randn(1, 64))
        expected = {action: 0.25 * share for action, share in odds.items() if action != chosen}
        expected[chosen] = 1.0 - sum(expected.values())
        held, chosen = agent._belief, agent.act(frame)
        if agent._belief is not held:  # the first frame follows no action
            odds = {action: share for action, share in expected.items() if share >= 0.01}
            odds = {action: share / sum(odds.values()) for action, share in odds.items()}
        believed = dict(zip(agent._belief.actions.tolist(), agent._belief.weights.tolist(), strict=True))
        assert believed == pytest.approx(odds, abs=1e-4)
        # Hidden states hold the last action.
        assert (agent._belief.memory.hidden[:, -ACTIONS:].argmax(dim=1) == agent._belief.actions).all()
        assert agent._belief.weights[0] == agent._belief.weights.max()
    assert len(odds) > 1


def test_candidates_share_their_luck() -> None:
    world = small_world()
    config = DreamConfig(temperature=1.0, dream_sticky=0.25, horizon=12)
    one = controllers(1)
    twins = Controllers(one.weight.repeat(4, 1, 1), one.bias.repeat(4, 1), bound=1.0)
    returns = dream_returns(Dream(world, config, 4, 8), twins, seed=11)
    assert returns.shape == (4, 8)
    torch.testing.assert_close(returns, returns[:1].expand(4, 8), rtol=1e-5, atol=1e-4)


def test_a_population_scores_as_its_members_do() -> None:
    world = small_world()
    config = DreamConfig(temperature=1.0, horizon=12)
    many = controllers(5)
    together = dream_returns(Dream(world, config, 5, 8), many, seed=2)
    for row in range(5):
        alone = Controllers(many.weight[row : row + 1], many.bias[row : row + 1], bound=1.0)
        returns = dream_returns(Dream(world, config, 1, 8), alone, seed=2)
        torch.testing.assert_close(returns[0], together[row], rtol=1e-4, atol=1e-3)


def test_same_seed_same_dream() -> None:
    world, config = small_world(), DreamConfig(horizon=10)
    first, again, other = (dream_returns(Dream(world, config, 3, 4), controllers(3), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_dead_earn_nothing_and_stay_dead() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1] = 100.0  # death is certain
    dream = Dream(world, STILL, candidates=2, starts=3)
    dream.reset(0)
    actions = torch.zeros(2, 3, dtype=torch.int64)
    _, _, terminated, truncated, info = dream.step(actions)
    assert terminated.all()
    assert not truncated.any()
    assert (info["death"] > 0.99).all()
    _, reward, terminated, _, _ = dream.step(actions)
    assert not reward.any()
    assert terminated.all()


def test_rewards_stay_within_what_the_data_held() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[0] = 1e6
    dream = Dream(world, STILL, candidates=1, starts=4)
    dream.reset(0)
    assert torch.equal(dream.step(torch.zeros(1, 4, dtype=torch.int64))[1], torch.full((1, 4), 60.0))


def test_the_horizon_truncates() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1:] = -100.0
    dream = Dream(world, DreamConfig(horizon=3), candidates=1, starts=2)
    dream.reset(0)
    actions = torch.zeros(1, 2, dtype=torch.int64)
    assert [bool(dream.step(actions)[3].all()) for _ in range(3)] == [False, False, True]


def test_a_share_of_dreams_begins_where_episodes_begin() -> None:
    starts = small_world().starts
    chosen = choose_starts(starts, 16, 0.5, torch.Generator().manual_seed(0))
    assert (chosen.lengths[:8] == 0).all()
    none_known = Starts(starts.latents[8:], starts.actions[8:], starts.lengths[8:])
    assert (choose_starts(none_known, 16, 1.0, torch.Generator().manual_seed(0)).lengths > 0).all()


def test_memory_is_filled_by_the_real_steps_alone() -> None:
    world = small_world()
    altered = Starts(world.starts.latents.clone(), world.starts.actions.clone(), world.starts.lengths)
    for row, length in enumerate(altered.lengths.tolist()):
        altered.latents[row, : altered.latents.shape[1] - 1 - length] = 99.0  # padding
    with torch.inference_mode():
        latents, memory = world.recall(world.starts)
        again, memory_again = world.recall(altered)
    assert torch.equal(latents, again)
    assert torch.equal(memory.hidden, memory_again.hidden)
    assert not memory.hidden[:8].any()
    assert memory.hidden[8:].any()


def test_stepping_before_reset_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match=r"before Dream\.reset"):
        Dream(small_world(), STILL, 1, 1).step(torch.zeros(1, 1, dtype=torch.int64))


def test_the_dream_is_a_sound_environment(tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    made = gymnasium.make(
        "mario_world_model.registration:MarioDream-v0", vae=tmp_path / "v.pt", mdnrnn=tmp_path / "m.pt", horizon=5
    )
    env = made.unwrapped
    check_env(env)
    check_for_sb3(env)
    frame, info = env.reset(seed=4)
    assert frame.shape == (64, 64, 3)
    assert info["features"].shape == (small_world().features,)
    again, _ = env.reset(seed=4)
    assert np.array_equal(frame, again)


def test_weighing_ends_estimates_what_drawing_them_does() -> None:
    world, config = small_world(), DreamConfig(horizon=8, dream_sticky=0.0)
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1:] = -2.0
    one = controllers(1)
    drawn, weighed = (
        dream_returns(Dream(world, config, 1, 4000, weighed=weighed), one, seed=9)[0] for weighed in (False, True)
    )
    standard_error = (drawn.var() / 4000 + weighed.var() / 4000).sqrt()
    assert (drawn.mean() - weighed.mean()).abs() < 4 * standard_error
    assert weighed.var() < drawn.var()


def test_a_death_costs_what_it_is_said_to_cost() -> None:
    """On top of its reward, once, and in proportion to its chance."""
    world = small_world()
    config = DreamConfig(temperature=0.0, dream_sticky=0.0, horizon=12)
    one = controllers(1)
    free, dear = (dream_returns(Dream(world, config, 1, 8, weighed=True), one, 3, cost) for cost in (0.0, 100.0))
    dream = Dream(world, config, 1, 8, weighed=True)
    features, _ = dream.reset(3)
    luck = torch.Generator().manual_seed(3)
    died = torch.zeros(1, 8)
    for _ in range(12):
        features, _, _, _, info = dream.step(one.act(features, draw_gumbel((8, ACTIONS), luck)))
        died += info["alive"] * info["death"]
    assert ((died > 0.0) & (died < 1.0)).all()
    # A dream in which nobody has a chance above 0.001 of being alive is not dreamt to its end.
    torch.testing.assert_close(free - dear, 100.0 * died, rtol=0.0, atol=0.1)

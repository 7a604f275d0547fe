"""What is dreamt once for many candidates, or in several parts, is what each would have dreamt alone."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor

from mario_world_model.config import DreamConfig
from mario_world_model.dream import Dream, choose_starts, dream_returns
from mario_world_model.errors import InputError
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.mdn_rnn import DEATH
from mario_world_model.models.mixture import MixtureNoise, draw_gumbel, draw_noise
from mario_world_model.models.world_model import WorldModel
from mario_world_model.training.fitness import DreamFitness
from mario_world_model.utils.memory_room import MemoryRoom
from tests.world import ACTIONS, small_world

CONFIG = DreamConfig(temperature=0.8, dream_sticky=0.25, horizon=8, level_starts=0.25)
STARTS, COST = 8, 50.0


def settled(world: WorldModel, count: int) -> Controllers:
    """Candidates that hardly differ, so that most of them do the same for some steps."""
    luck = torch.Generator().manual_seed(5)
    size = parameter_count(world.features, ACTIONS)
    vectors = 0.1 * torch.randn(1, size, generator=luck) + 0.01 * torch.randn(count, size, generator=luck)
    return Controllers.from_vectors(vectors, world.features, ACTIONS, bound=3.0)


@torch.no_grad()
def plain_returns(world: WorldModel, controllers: Controllers, seed: int, weighed: bool) -> Tensor:
    """The same in float64, every candidate's every dream by itself, from whole mixtures."""
    network, luck = copy.deepcopy(world.mdn_rnn).double(), torch.Generator().manual_seed(seed)
    chosen = choose_starts(world.starts, STARTS, CONFIG.level_starts, luck)
    chosen = dataclasses.replace(chosen, latents=chosen.latents.double())
    latents, memory = dataclasses.replace(world, mdn_rnn=network).recall(chosen)
    count = len(controllers.bias)
    latents, memory, played = latents.repeat(count, 1), memory.repeat(count), chosen.actions[:, -1].repeat(count)
    alive, total = torch.ones(count * STARTS).double(), torch.zeros(count * STARTS).double()
    plain = Controllers(controllers.weight.double(), controllers.bias.double(), controllers.bound)
    choice = torch.Generator().manual_seed(seed)
    for _ in range(CONFIG.horizon):
        features = torch.cat([latents, memory.hidden], dim=1).unflatten(0, (count, STARTS))
        actions = plain.act(features, draw_gumbel((STARTS, ACTIONS), choice).double()).flatten()
        sticks = torch.rand(STARTS, generator=luck).repeat(count) < CONFIG.dream_sticky
        played = torch.where(sticks, played, actions)
        noise = draw_noise((STARTS,), network.config.mixtures, network.choices, network.latent_size, luck)
        hidden, memory = network(latents.unsqueeze(1), played.unsqueeze(1), memory)
        expected = network.predict(hidden.squeeze(1), latents)
        every = MixtureNoise(noise.gumbel.double().repeat(count, 1, 1), noise.normal.double().repeat(count, 1))
        latents = expected.latent.sample(every, CONFIG.temperature)
        odds = torch.sigmoid(expected.ending_logits)
        total += alive * (expected.reward.clamp(*world.reward_bounds) - COST * odds[:, DEATH])
        lives = 1.0 - odds.sum(dim=1).clamp(max=1.0)
        if not weighed:
            lives = (torch.rand(STARTS, generator=luck).repeat(count) < lives).double()
        alive = alive * lives
        alive[alive <= 1e-3] = 0.0
    return total.unflatten(0, (count, STARTS))


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize("joint", [True, False])
def test_dreams_in_common_pay_what_each_alone_pays(weighed: bool, joint: bool) -> None:
    """The fast path against the plain formula in float64."""
    world = small_world(joint=joint)
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1:] = -2.0  # some die, some live
    controllers = settled(world, 12)
    dream = Dream(world, CONFIG, 12, STARTS, weighed)
    fast = dream_returns(dream, controllers, seed=4, death_cost=COST)
    torch.testing.assert_close(fast.double(), plain_returns(world, controllers, 4, weighed), rtol=1e-4, atol=1e-3)
    assert len(fast.unique(dim=0)) > 1
    assert dream.different < 12 * STARTS


def test_candidates_that_do_the_same_are_in_the_same_dream() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1:] = -20.0  # nobody dies
    one = settled(world, 1)
    twins = Controllers(one.weight.repeat(50, 1, 1), one.bias.repeat(50, 1), one.bound)
    dream = Dream(world, CONFIG, 50, STARTS, weighed=True)
    dream_returns(dream, twins, seed=4)
    assert dream.different == STARTS
    assert dream._now().latents.shape == (-(-STARTS // 32) * 32, 64)  # filled up


def test_dreams_that_are_over_take_no_more_work() -> None:
    world = small_world()
    with torch.no_grad():
        world.mdn_rnn.step_head.bias[1] = 100.0  # death is certain
    dream = Dream(world, CONFIG, 6, STARTS, weighed=True)
    dream.reset(0)
    for _ in range(2):
        _, reward, terminated, _, _ = dream.step(torch.randint(ACTIONS, (6, STARTS)))
    assert dream.different == 1
    assert terminated.all()
    assert not reward.any()


@pytest.mark.parametrize("units", [0, 3])
def test_features_that_no_candidate_looks_at_change_nothing(units: int) -> None:
    world = small_world()
    size = parameter_count(world.features, ACTIONS, units)
    vectors = torch.randn(6, size, generator=torch.Generator().manual_seed(2))
    controllers = Controllers.from_vectors(vectors, world.features, ACTIONS, 3.0, units)
    controllers.first.weight[..., 5:] = 0.0
    sees, narrow = controllers.narrowed()
    assert sees.tolist() == [0, 1, 2, 3, 4]
    assert narrow.first.weight.shape[-1] == 5
    whole = dream_returns(Dream(world, CONFIG, 6, STARTS, weighed=True), controllers, 3, COST)
    found = DreamFitness(world, CONFIG, COST)(controllers, STARTS, 3)
    torch.testing.assert_close(torch.from_numpy(found).float(), whole.mean(1), rtol=1e-4, atol=1e-3)
    controllers.first.weight[:] = 0.0
    assert DreamFitness(world, CONFIG, COST)(controllers, STARTS, 3).shape == (6,)


class _Little(MemoryRoom):
    """Room for five rows."""

    def fill(self, count: int, work: object) -> Tensor:
        def attempt(rows: slice) -> Tensor:
            if rows.stop - rows.start > 5:
                # As torch says it of the CPU.
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
            return work(rows)  # type: ignore[operator, no-any-return]

        return super().fill(count, attempt)


def test_returns_are_the_same_however_little_memory_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    world = small_world()
    controllers = settled(world, 13)
    ample = DreamFitness(world, CONFIG, COST)
    little = dataclasses.replace(ample, room=_Little("candidates"))
    expected = ample(controllers, 16, 3)
    assert (little(controllers, 16, 3) == expected).all()
    assert capsys.readouterr().err.splitlines() == [
        "out of memory with 13 candidates at once; going on with 7",
        "out of memory with 7 candidates at once; going on with 4",
    ]
    assert (little(controllers, 16, 3) == expected).all()
    assert not capsys.readouterr().err  # it is known by then


def test_too_little_memory_for_anything_is_said_and_other_errors_are_left_alone() -> None:
    def too_large(rows: slice) -> Tensor:
        raise torch.OutOfMemoryError(f"CUDA out of memory with {rows}")

    with pytest.raises(InputError, match="expected room for one of 4 candidates"):
        MemoryRoom("candidates").fill(4, too_large)

    def mistaken(rows: slice) -> Tensor:
        raise RuntimeError(f"shapes do not fit: {rows}")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        MemoryRoom("candidates").fill(4, mistaken)

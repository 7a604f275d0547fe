from __future__ import annotations

import copy
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_world_model.config import MDNRNNConfig
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise, draw_noise
from tests.world import ACTIONS, small_world


@pytest.mark.parametrize("joint", [True, False])
def test_shapes(joint: bool) -> None:
    network = MDNRNN(MDNRNNConfig(hidden_size=16, mixtures=3, joint=joint), 10, ACTIONS)
    hidden, memory = network(torch.randn(2, 5, 10), torch.randint(ACTIONS, (2, 5)), network.initial_memory(2))
    prediction = network.predict(hidden, torch.randn(2, 5, 10))
    assert hidden.shape == (2, 5, 16 + 10 + ACTIONS)  # the LSTM's units, the change of the latent, the action
    assert torch.equal(memory.hidden, hidden[:, -1])
    assert memory.cell.shape == (2, 16 + 10 + 1)  # the latent read last, and that there is one
    assert prediction.latent.mean.shape == (2, 5, 3, 10)
    assert prediction.latent.log_pi.shape == (2, 5, 3, 1 if joint else 10)
    assert prediction.reward.shape == (2, 5)
    assert prediction.ending_logits.shape == (2, 5, 2)
    torch.testing.assert_close(prediction.latent.log_pi.exp().sum(2), torch.ones(2, 5, 1 if joint else 10))


@pytest.mark.parametrize("head_size", [0, 20])
@pytest.mark.parametrize("rows", [3, 7])
@torch.inference_mode()
def test_a_sequence_is_its_steps_one_by_one(head_size: int, rows: int) -> None:
    """Few rows and many: torch has a kernel for each."""
    world = small_world(head_size=head_size)
    latents, actions = torch.randn(rows, 9, 64), torch.randint(ACTIONS, (rows, 9))
    hidden, last = world.mdn_rnn(latents, actions, world.mdn_rnn.initial_memory(rows))
    whole = world.mdn_rnn.predict(hidden, latents)
    present = world.mdn_rnn.initial_memory(rows)
    for step in range(9):
        present = world.remember(latents[:, step], actions[:, step], present)
        single = world.mdn_rnn.predict(present.hidden, latents[:, step])
        torch.testing.assert_close(single.latent.mean, whole.latent.mean[:, step], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(single.latent.log_sigma, whole.latent.log_sigma[:, step], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(single.reward, whole.reward[:, step], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(single.ending_logits, whole.ending_logits[:, step], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(present.hidden, last.hidden, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("head_size", "joint", "anchor"),
    [
        (20, True, "gate"),
        (20, True, "present"),
        (20, True, "none"),
        (20, False, "gate"),
        (0, True, "gate"),
        (0, False, "none"),
    ],
)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.3])
@torch.no_grad()
def test_imagining_is_sampling_from_the_prediction(
    head_size: int, joint: bool, anchor: Literal["gate", "present", "none"], temperature: float
) -> None:
    """The fast path against the plain formula in float64."""
    network = small_world(head_size=head_size, joint=joint, anchor=anchor).mdn_rnn
    hidden, latents = torch.randn(50, network.hidden_size), torch.randn(50, 64)
    noise = draw_noise((50,), 3, network.choices, 64, torch.Generator().manual_seed(0))
    fast = network.imagine(hidden, latents, noise, temperature)
    plain = copy.deepcopy(network).double().predict(hidden.double(), latents.double())
    expected = plain.latent.sample(MixtureNoise(noise.gumbel.double(), noise.normal.double()), temperature)
    torch.testing.assert_close(fast.latents.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast.reward.double(), plain.reward, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(fast.ending_logits.double(), plain.ending_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("head_size", "joint", "ending_heads"), [(20, True, 2), (0, True, 0), (20, False, 0)])
@torch.no_grad()
def test_in_bfloat16_it_imagines_nearly_the_same_and_densities_keep_all_bits(
    head_size: int, joint: bool, ending_heads: int
) -> None:
    network = small_world(head_size=head_size, joint=joint, ending_heads=ending_heads).mdn_rnn
    before = copy.deepcopy(network.state_dict())
    half = network.in_bfloat16()
    latents, actions = torch.randn(50, 1, 64), torch.randint(ACTIONS, (50, 1))
    hidden, memory = half(latents, actions, half.initial_memory(50))
    assert torch.equal(hidden, network(latents, actions, network.initial_memory(50))[0])
    assert memory.cell.dtype == torch.float32
    noise = draw_noise((50,), 3, network.choices, 64, torch.Generator().manual_seed(0))
    exact, near = (one.imagine(hidden[:, 0], latents[:, 0], noise, 0.0) for one in (network, half))
    said = half.predict(hidden, latents).latent
    assert {said.log_pi.dtype, said.mean.dtype, said.log_sigma.dtype, near.ending_logits.dtype} == {torch.float32}
    same = (near.latents - exact.latents).abs().amax(dim=1) < 0.05  # nearly equal weights may be the other way round
    assert same.float().mean() > 0.9
    assert not torch.equal(near.latents, exact.latents)
    torch.testing.assert_close(near.ending_logits, exact.ending_logits, rtol=0.02, atol=0.02)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


def test_how_far_means_move_with_the_latent() -> None:
    hidden = torch.randn(1, small_world().mdn_rnn.hidden_size)
    here, there = torch.zeros(1, 64), torch.full((1, 64), 2.0)
    moved = {}
    for anchor in ("gate", "present", "none"):
        network = small_world(anchor=anchor, head_size=0).mdn_rnn
        shift = network.predict(hidden, there).latent.mean - network.predict(hidden, here).latent.mean
        moved[anchor] = shift[0, 0]
    torch.testing.assert_close(moved["present"], torch.full((64,), 2.0))
    torch.testing.assert_close(moved["none"], torch.zeros(64))
    assert ((moved["gate"] > 0.0) & (moved["gate"] < 2.0)).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.integers(0, 1000))
def test_no_finite_input_makes_a_number_that_is_not(latent: float, target: float, seed: int) -> None:
    torch.manual_seed(seed)
    network = MDNRNN(MDNRNNConfig(hidden_size=8, mixtures=2, anchor="gate" if seed % 2 else "present"), 4, ACTIONS)
    latents = torch.full((1, 2, 4), latent).clamp(-1e4, 1e4)
    hidden, _ = network(latents, torch.zeros(1, 2, dtype=torch.int64), network.initial_memory(1))
    prediction = network.predict(hidden, latents)
    likelihood = prediction.latent.log_prob(torch.full((1, 2, 4), target).clamp(-1e4, 1e4))
    likelihood.sum().backward()
    assert likelihood.isfinite().all()
    assert prediction.reward.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
def test_what_the_head_adds_is_not_linear_in_the_latent() -> None:
    """Without a head means are linear in the latent; with one they are not, which is what it is there for."""
    hidden = torch.randn(1, small_world().mdn_rnn.hidden_size)
    here, there = torch.zeros(1, 64), torch.randn(1, 64)
    bend = {}
    for head_size in (0, 20):
        network = small_world(head_size=head_size, anchor="present").mdn_rnn
        means = [network.predict(hidden, latents).latent.mean for latents in (here, 0.5 * there, there)]
        bend[head_size] = float((means[0] - 2.0 * means[1] + means[2]).abs().max())
    assert bend[0] < 1e-5
    assert bend[20] > 1e-3


def test_changes_are_read_across_calls_and_not_before_the_first_latent() -> None:
    """M with weights on changes alone stirs when a latent differs from the one before, wherever a sequence is cut."""
    network = small_world().mdn_rnn
    weights = network.lstm.weight_ih_l0
    with torch.no_grad():
        weights[:, :64] = 0.0
        weights[:, 128:] = 0.0
        network.lstm.weight_hh_l0.zero_()
        network.lstm.bias_ih_l0.zero_()
        network.lstm.bias_hh_l0.zero_()
        steady = torch.randn(1, 1, 64).expand(1, 3, 64)
        moved = steady + 1.0
        actions = torch.zeros(1, 3, dtype=torch.int64)
        still, memory = network(steady, actions, network.initial_memory(1))
        after, _ = network(moved, actions, memory)
    assert not still[..., :24].any()
    assert after[0, 0, :24].abs().max() > 0.1


def test_memory_starts_empty() -> None:
    memory = small_world().mdn_rnn.initial_memory(2)
    assert isinstance(memory, Memory)
    assert not memory.hidden.any()
    assert not memory.cell.any()

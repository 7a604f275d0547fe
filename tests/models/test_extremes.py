"""No finite input, however absurd, makes M say something that is not a number."""

from __future__ import annotations

from typing import Literal

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mario_world_model.models.mixture import Mixture, draw_noise
from tests.world import ACTIONS, small_world

Z, K = 64, 3
_LARGEST = float(np.finfo(np.float32).max)


def numbers(*shape: int, largest: float = _LARGEST) -> st.SearchStrategy[Tensor]:
    """Finite float32 tensors, the largest and the smallest numbers there are among them."""
    anything = st.floats(-largest, largest, width=32)
    extreme = st.sampled_from([largest, -largest, 0.0, 1e-38, -1e-45, 1.0])
    return arrays.arrays(np.float32, shape, elements=anything | extreme, fill=extreme).map(torch.from_numpy)


WORLDS = {
    (anchor, head_size): small_world(anchor=anchor, head_size=head_size).mdn_rnn
    for anchor in ("gate", "present", "none")
    for head_size in (0, 20)
}


@pytest.mark.parametrize("head_size", [0, 20])
@pytest.mark.parametrize("anchor", ["gate", "present", "none"])
@settings(max_examples=30, deadline=None)
@given(latents=numbers(2, 4, Z), seed=st.integers(0, 999), temperature=st.sampled_from([0.0, 1.0, 10.0]))
def test_predictions_and_samples_are_numbers(
    anchor: Literal["gate", "present", "none"],
    head_size: int,
    latents: Tensor,
    seed: int,
    temperature: float,
) -> None:
    network = WORLDS[anchor, head_size]
    luck = torch.Generator().manual_seed(seed)
    actions = torch.randint(ACTIONS, (2, 3), generator=luck)
    with torch.no_grad():
        hidden, state = network(latents[:, :-1], actions, network.initial_memory(2))
        prediction = network.predict(hidden, latents[:, :-1])
        density = prediction.latent.log_prob(latents[:, 1:], latents[:, 1:].flip(-1))
        noise = draw_noise((2,), K, network.choices, Z, luck)
        dreamt = network.imagine(hidden[:, -1], latents[:, -2], noise, temperature)
        again, _ = network(dreamt.latents.unsqueeze(1), actions[:, :1], state)
    parts = (prediction.latent.mean, prediction.latent.log_sigma, prediction.latent.log_pi, prediction.reward)
    rest = (prediction.ending_logits, density, dreamt.latents, dreamt.reward, dreamt.ending_logits, again)
    for part in (hidden, *parts, *rest):
        assert bool(torch.isfinite(part).all())


@settings(max_examples=80, deadline=None)
@given(
    latents=numbers(Z),
    mean=numbers(K, Z),
    log_sigma=numbers(K, Z),
    blur=st.none() | numbers(Z),
    logits=numbers(K, 1, largest=2.0**100),
)
def test_densities_and_their_gradients_are_numbers(
    latents: Tensor, mean: Tensor, log_sigma: Tensor, blur: Tensor | None, logits: Tensor
) -> None:
    inputs = [tensor.clone().requires_grad_() for tensor in (logits, mean, log_sigma)]
    mixture = Mixture(torch.log_softmax(inputs[0], dim=-2), inputs[1], inputs[2])
    density = mixture.log_prob(latents, blur)
    assert bool(torch.isfinite(density))
    density.backward()  # type: ignore[no-untyped-call]
    assert all(bool(torch.isfinite(tensor.grad).all()) for tensor in inputs)  # type: ignore[arg-type]

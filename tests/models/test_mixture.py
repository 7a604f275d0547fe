from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from mario_world_model.models.mixture import Mixture, MixtureNoise, draw_noise

K, Z = 3, 4


def mixture(joint: bool, dtype: torch.dtype = torch.float64) -> Mixture:
    torch.manual_seed(0)
    choices = 1 if joint else Z
    return Mixture(
        log_pi=torch.log_softmax(torch.randn(5, K, choices, dtype=dtype), dim=-2),
        mean=torch.randn(5, K, Z, dtype=dtype),
        log_sigma=0.3 * torch.randn(5, K, Z, dtype=dtype),
    )


def test_joint_density_is_that_of_torch_distributions() -> None:
    ours, latents = mixture(joint=True), torch.randn(5, Z, dtype=torch.float64)
    parts = Independent(Normal(ours.mean, ours.log_sigma.exp()), 1)
    reference = MixtureSameFamily(Categorical(logits=ours.log_pi.squeeze(-1)), parts)
    torch.testing.assert_close(ours.log_prob(latents), reference.log_prob(latents))


@pytest.mark.parametrize("joint", [True, False])
def test_importance_counts_a_number_as_often(joint: bool) -> None:
    """A number that counts three times is a latent in which it stands three times, under the same choice."""
    ours, latents = mixture(joint), torch.randn(5, Z, dtype=torch.float64)
    often = torch.tensor([0, 1, 1, 1, 2, 3])
    thrice = ours.log_prob(latents, importance=torch.tensor([1.0, 3.0, 1.0, 1.0], dtype=torch.float64))
    if joint:
        wider = Mixture(ours.log_pi, ours.mean[..., often], ours.log_sigma[..., often])
        torch.testing.assert_close(thrice, wider.log_prob(latents[:, often]))
    else:
        powers = torch.tensor([1.0, 3.0, 1.0, 1.0], dtype=torch.float64)
        parts = Normal(ours.mean, ours.log_sigma.exp()).log_prob(latents.unsqueeze(1)) * powers
        torch.testing.assert_close(thrice, torch.logsumexp(ours.log_pi + parts, dim=1).sum(-1))


def test_factored_density_is_that_of_torch_distributions() -> None:
    ours, latents = mixture(joint=False), torch.randn(5, Z, dtype=torch.float64)
    parts = Normal(ours.mean.transpose(1, 2), ours.log_sigma.exp().transpose(1, 2))
    reference = MixtureSameFamily(Categorical(logits=ours.log_pi.transpose(1, 2)), parts)
    torch.testing.assert_close(ours.log_prob(latents), reference.log_prob(latents).sum(-1))


@pytest.mark.parametrize("joint", [True, False])
def test_blur_is_the_density_of_a_mixture_of_wider_gaussians(joint: bool) -> None:
    ours, latents = mixture(joint), torch.randn(5, Z, dtype=torch.float64)
    blur = torch.randn(5, Z, dtype=torch.float64)
    variance = (2.0 * ours.log_sigma).exp() + blur.exp().unsqueeze(-2)
    wider = Mixture(ours.log_pi, ours.mean, 0.5 * variance.log())
    torch.testing.assert_close(ours.log_prob(latents, blur), wider.log_prob(latents))


@pytest.mark.parametrize("joint", [True, False])
def test_samples_have_the_moments_of_the_mixture(joint: bool) -> None:
    ours = mixture(joint)
    count = 40_000
    noise = draw_noise((count, 5), K, ours.log_pi.shape[-1], Z, torch.Generator().manual_seed(3))
    many = Mixture(*(part.expand(count, *part.shape) for part in (ours.log_pi, ours.mean, ours.log_sigma)))
    samples = many.sample(noise, temperature=1.0)
    pi = ours.log_pi.exp()
    mean = (pi * ours.mean).sum(1)
    second = (pi * (ours.mean**2 + (2 * ours.log_sigma).exp())).sum(1)
    spread = (second - mean**2).sqrt()
    # Five standard errors: a sound sampler fails once in a million runs, and the seed is fixed besides.
    assert ((samples.mean(0) - mean).abs() < 5 * spread / count**0.5).all()
    torch.testing.assert_close(samples.var(0), spread**2, rtol=0.1, atol=0.0)


def test_temperature_zero_is_the_mean_of_the_likeliest_component() -> None:
    ours = mixture(joint=True)
    noise = MixtureNoise(torch.full((5, K, 1), torch.nan), torch.full((5, Z), torch.nan))
    likeliest = ours.log_pi.squeeze(-1).argmax(-1)
    torch.testing.assert_close(ours.sample(noise, 0.0), ours.mean[torch.arange(5), likeliest])


def test_temperature_scales_the_variance() -> None:
    one = Mixture(torch.zeros(1, 1), torch.zeros(1, Z), torch.zeros(1, Z))
    noise = MixtureNoise(torch.zeros(1, 1), torch.ones(Z))
    torch.testing.assert_close(one.sample(noise, 4.0), 2.0 * one.sample(noise, 1.0))


def test_entropy_of_weights_tells_collapse_from_balance() -> None:
    even = torch.full((K, 1), -torch.log(torch.tensor(float(K))))
    sure = torch.log_softmax(torch.tensor([[50.0], [0.0], [0.0]]), dim=0)
    other = torch.zeros(K, Z)
    assert Mixture(even, other, other).entropy_of_weights().item() == pytest.approx(1.0986, abs=1e-4)
    assert Mixture(sure, other, other).entropy_of_weights().item() == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(-30, 30))
def test_draws_are_finite(seed: int, scale: float) -> None:
    noise = draw_noise((64,), K, 1, Z, torch.Generator().manual_seed(seed))
    ours = Mixture(torch.log_softmax(scale * torch.randn(64, K, 1), -2), torch.randn(64, K, Z), torch.randn(64, K, Z))
    assert ours.sample(noise, 1.3).isfinite().all()


@pytest.mark.parametrize(("deviation", "times"), [(0.05, 0.25), (0.2, 1.0), (0.8, 4.0), (3.0, 5.0)])
def test_beta_nll_weighs_by_the_deviation_and_learns_nothing_by_that(deviation: float, times: float) -> None:
    """At β = ½ all gradients of a number are those of its likelihood times its deviation, which counts as 1 at most."""
    found = []
    for beta in (0.0, 0.5):
        mean = torch.full((1, 1, 2), 0.3, requires_grad=True)
        log_sigma = torch.full((1, 1, 2), math.log(deviation), requires_grad=True)
        Mixture(torch.zeros(1, 1, 1), mean, log_sigma).log_prob(torch.zeros(1, 2), beta=beta).sum().backward()
        assert mean.grad is not None
        assert log_sigma.grad is not None
        found.append(torch.stack([mean.grad, log_sigma.grad]))
    torch.testing.assert_close(found[1], times * found[0])

"""The mixture of Gaussians that the MDN-RNN predicts (Bishop 1994), kept in log space throughout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
# Nothing that is trained comes near these. Within them the squares of a whole latent add up to a finite number, so that
# no input, however absurd, makes a density that is not a number.
_LOG_SIGMA_BOUNDS = (-10.0, 20.0)
_FARTHEST = 1e12
_ORDINARY = math.log(0.2)  # log deviation at which β-NLL is plain likelihood


@dataclass(frozen=True)
class MixtureNoise:
    """What a sample is drawn with; any shapes that broadcast against the mixture's.

    Passing noise in, instead of drawing it inside, lets a whole population of controllers dream
    under the same luck.
    """

    gumbel: Tensor
    """Standard Gumbel, (..., K, G): G as in `Mixture.log_pi`."""
    normal: Tensor
    """Standard normal, (..., Z)."""


@dataclass(frozen=True)
class Mixture:
    """K Gaussians over latents of Z numbers.

    Joint when log_pi is (..., K, 1): one choice of component holds for the whole latent.
    Factored when log_pi is (..., K, Z): every number has a mixture of its own, as in Ha & Schmidhuber.
    """

    log_pi: Tensor
    """Normalised log weights, (..., K, G) with G in {1, Z}."""
    mean: Tensor
    """(..., K, Z)."""
    log_sigma: Tensor
    """(..., K, Z)."""

    def log_prob(
        self, latents: Tensor, blur: Tensor | None = None, importance: Tensor | None = None, beta: float = 0.0
    ) -> Tensor:
        """Log density of latents (..., Z), in nats, (...).

        With `blur`, log variances (..., Z), that of latents known only up to Gaussian noise: the integral
        of the mixture over N(latents, exp(blur)), which widens every component by that noise. With `importance` (Z,)
        every number's log density counts that many times, and with `beta` as many times as its deviation, of which 1
        is the most and 0.2 the unit, to the power of 2β, through which no gradient flows (β-NLL, Seitzer et al. 2022):
        no density any more, but a loss.
        """
        log_sigma = self.log_sigma
        if blur is not None:
            log_sigma = 0.5 * torch.logaddexp(2.0 * log_sigma, blur.unsqueeze(-2))
        log_sigma = log_sigma.clamp(*_LOG_SIGMA_BOUNDS)
        distance = (latents.unsqueeze(-2) - self.mean).clamp(-_FARTHEST, _FARTHEST)
        standard = distance * torch.exp(-log_sigma)
        log_normal = -0.5 * standard.square() - log_sigma - _HALF_LOG_TWO_PI
        if importance is not None:
            log_normal = log_normal * importance
        if beta:
            # The wider a deviation, the smaller are the gradients: what is known to a hair would be learnt on, and what
            # is not yet known be left.
            log_normal = log_normal * torch.exp(2.0 * beta * (log_sigma.detach().clamp(max=0.0) - _ORDINARY))
        if self.joint:
            return torch.logsumexp(self.log_pi.squeeze(-1) + log_normal.sum(-1), dim=-1)
        return torch.logsumexp(self.log_pi + log_normal, dim=-2).sum(-1)

    def sample(self, noise: MixtureNoise, temperature: float) -> Tensor:
        """Latents (..., Z) at a temperature τ (Ha & Schmidhuber 2018, section 4).

        τ divides the log weights and multiplies the variances; τ = 0 takes the mean of the
        likeliest component.
        """
        component = choose_component(self.log_pi, noise, temperature)
        mean = torch.take_along_dim(self.mean, component, dim=-2).squeeze(-2)
        log_sigma = torch.take_along_dim(self.log_sigma, component, dim=-2).squeeze(-2)
        return sample_gaussian(mean, log_sigma, noise, temperature)

    def with_fixed_spread(self) -> Mixture:
        """The same mixture, through whose deviations no gradient flows."""
        return Mixture(self.log_pi, self.mean, self.log_sigma.detach())

    def entropy_of_weights(self) -> Tensor:
        """Entropy of the component weights in nats, (..., G); 0 when the mixture has collapsed."""
        return -(self.log_pi.exp() * self.log_pi).sum(-2)

    @property
    def joint(self) -> bool:
        return self.log_pi.shape[-1] == 1 and self.mean.shape[-1] != 1


def choose_component(log_pi: Tensor, noise: MixtureNoise, temperature: float) -> Tensor:
    """Component int64 (..., 1, G) drawn by log weights (..., K, G) at a temperature; the likeliest at 0."""
    scores = log_pi if temperature == 0.0 else log_pi / temperature + noise.gumbel
    return scores.argmax(dim=-2, keepdim=True)


def sample_gaussian(mean: Tensor, log_sigma: Tensor, noise: MixtureNoise, temperature: float) -> Tensor:
    """A sample (..., Z) of one component at a temperature; its mean at 0."""
    if temperature == 0.0:
        return mean
    return mean + math.sqrt(temperature) * torch.exp(log_sigma) * noise.normal


def draw_noise(
    leading: tuple[int, ...], mixtures: int, choices: int, latent_size: int, generator: torch.Generator
) -> MixtureNoise:
    """Fresh noise for mixtures of leading shape `leading`; `choices` is G of `Mixture.log_pi`."""
    normal = torch.randn((*leading, latent_size), generator=generator, device=generator.device)
    return MixtureNoise(draw_gumbel((*leading, mixtures, choices), generator), normal)


def draw_gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise: the largest of logits plus this is a sample from their softmax."""
    uniform = torch.rand(shape, generator=generator, device=generator.device)
    # Kept off 0 and 1, where the logarithms are not finite.
    return -torch.log(-torch.log(uniform.clamp(1e-7, 1.0 - 1e-7)))

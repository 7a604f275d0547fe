"""The controller C: linear on `[z, h]`, a population of them evaluated as one product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_SPREAD = 0.1


def parameter_count(features: int, actions: int) -> int:
    """Numbers in a controller: one row of weights and one bias per action."""
    return (features + 1) * actions


@dataclass(frozen=True)
class FeatureScaling:
    """Centre and spread of features over real situations, both (F,).

    Evolution moves in scaled coordinates, where a step means as much along every feature, and a
    weight does not favour an action everywhere (Mania et al. 2018, section 3.2). The memory's units
    vary ten times less than latents do and would hardly be explored otherwise.
    """

    centre: Tensor
    spread: Tensor

    @classmethod
    def of(cls, features: Tensor) -> FeatureScaling:
        """From features (N, F); spreads have a floor, below which a latent is but its own noise."""
        return cls(features.mean(dim=0), features.std(dim=0).clamp(min=_LEAST_SPREAD))


@dataclass(frozen=True)
class Controllers:
    """P linear controllers, logits W [z_t, h_t] + b (Ha & Schmidhuber 2018, section 2.3).

    The action is a sample from the softmax of the logits, squashed to ±bound: with all parameters zero
    that is the uniformly random agent, from which evolution then departs, and however large they grow
    every action keeps a chance. A controller that was certain would exploit what its dream gets wrong,
    and stand before a pipe for ever. A bound of 0 takes the largest logit, as the paper does.
    """

    weight: Tensor
    """(P, A, F)."""
    bias: Tensor
    """(P, A)."""
    bound: float
    """Largest logit, ≥ 0; no action is ever more than e^(2·bound) times as likely as another."""

    def act(self, features: Tensor, gumbel: Tensor) -> Tensor:
        """Actions int64 (P, S) for features [z, h] (P, S, F), S situations for each controller.

        `gumbel` is standard Gumbel noise that broadcasts to (P, S, A): the largest sum of logit and
        noise is a sample from the softmax (Maddison et al. 2014).
        """
        logits = torch.baddbmm(self.bias.unsqueeze(1), features, self.weight.transpose(1, 2))
        if self.bound > 0.0:
            logits = self.bound * torch.tanh(logits / self.bound) + gumbel
        return logits.argmax(dim=-1)

    @classmethod
    def from_vectors(cls, vectors: Tensor, features: int, actions: int, bound: float) -> Controllers:
        """Controllers from parameter vectors (P, (F + 1)·A), the form in which CMA-ES moves them."""
        weight = vectors[:, : features * actions].reshape(-1, actions, features)
        return cls(weight.contiguous(), vectors[:, features * actions :].contiguous(), bound)

    def member(self, index: int) -> Controllers:
        """One of them, as a population of one."""
        return Controllers(self.weight[index : index + 1], self.bias[index : index + 1], self.bound)

    def to(self, device: torch.device) -> Controllers:
        return Controllers(self.weight.to(device), self.bias.to(device), self.bound)

    def after(self, scaling: FeatureScaling) -> Controllers:
        """Controllers of raw features that act as these do on scaled ones; still linear."""
        weight = self.weight / scaling.spread
        return Controllers(weight, self.bias - weight @ scaling.centre, self.bound)

    def before(self, scaling: FeatureScaling) -> Controllers:
        """The inverse of `after`: controllers of scaled features that act as these do on raw ones."""
        return Controllers(self.weight * scaling.spread, self.bias + self.weight @ scaling.centre, self.bound)

    def to_vectors(self) -> Tensor:
        """The inverse of `from_vectors`, (P, (F + 1)·A)."""
        return torch.cat([self.weight.flatten(1), self.bias], dim=1)

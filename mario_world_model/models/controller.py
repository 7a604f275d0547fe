"""The controller C: linear on `[z, h]`, or with one hidden layer; a population of them evaluated as one product."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_SPREAD = 0.1


def parameter_count(features: int, actions: int, units: int = 0) -> int:
    """Numbers in a controller: one row of weights and one bias per output, and per hidden unit if there are any."""
    return (features + 1) * units + (units + 1) * actions if units else (features + 1) * actions


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
class Layer:
    """One linear map for each of P controllers."""

    weight: Tensor
    """(P, O, I)."""
    bias: Tensor
    """(P, O)."""

    def __call__(self, features: Tensor) -> Tensor:
        """Features (P, S, I) to (P, S, O)."""
        return torch.baddbmm(self.bias.unsqueeze(1), features, self.weight.transpose(1, 2))

    def part(self, rows: slice) -> Layer:
        # Not a view: sent to another process, it would take all of the others with it.
        return Layer(self.weight[rows].clone(), self.bias[rows].clone())

    def to(self, device: torch.device) -> Layer:
        return Layer(self.weight.to(device), self.bias.to(device))

    @classmethod
    def from_vectors(cls, vectors: Tensor, inputs: int, outputs: int) -> Layer:
        """From (P, (I + 1)·O), weights first."""
        weight = vectors[:, : inputs * outputs].reshape(-1, outputs, inputs)
        return cls(weight.contiguous(), vectors[:, inputs * outputs :].contiguous())

    def to_vectors(self) -> Tensor:
        """The inverse of `from_vectors`."""
        return torch.cat([self.weight.flatten(1), self.bias], dim=1)


@dataclass(frozen=True)
class Controllers:
    """P controllers, logits W [z_t, h_t] + b (Ha & Schmidhuber 2018, section 2.3).

    With `inner` they have one layer of tanh units before. The action is a sample from the softmax of the logits, none
    of which is taken for more than 2·bound below the best: with all parameters zero that is the uniformly random
    agent, from which evolution then departs, and however large they grow every action keeps a chance. A controller
    that was certain would exploit what its dream gets wrong, and stand before a pipe for ever. (If a tanh bounded them
    one by one, several large ones would end up equally good whatever they were, and evolution would stand still.) A
    bound of 0 takes the largest logit, as the paper does.
    """

    weight: Tensor
    """(P, A, F), of U hidden units instead of F features if there are any."""
    bias: Tensor
    """(P, A)."""
    bound: float
    """≥ 0; no action is ever more than e^(2·bound) times as likely as another."""
    inner: Layer | None = None
    """(P, U, F), the hidden units."""

    def act(self, features: Tensor, gumbel: Tensor) -> Tensor:
        """Actions int64 (P, S) for features [z, h] (P, S, F), S situations for each controller.

        `gumbel` is standard Gumbel noise that broadcasts to (P, S, A): the largest sum of logit and
        noise is a sample from the softmax (Maddison et al. 2014).
        """
        logits = self.logits(features)
        return (logits + gumbel if self.bound > 0.0 else logits).argmax(dim=-1)

    def logits(self, features: Tensor) -> Tensor:
        """Logits (P, S, A) of features [z, h] (P, S, F); where there is a bound, of the best action 0 and none below
        -2·bound."""
        if self.inner is not None:
            features = torch.tanh(self.inner(features))
        logits = self._outer(features)
        best = logits.amax(dim=-1, keepdim=True)
        return (logits - best).clamp(min=-2.0 * self.bound) if self.bound > 0.0 else logits

    @classmethod
    def from_vectors(cls, vectors: Tensor, features: int, actions: int, bound: float, units: int = 0) -> Controllers:
        """Controllers from parameter vectors (P, `parameter_count`), the form in which CMA-ES moves them."""
        inner = None
        if units:
            inside = (features + 1) * units
            inner, vectors = Layer.from_vectors(vectors[:, :inside], features, units), vectors[:, inside:]
        outer = Layer.from_vectors(vectors, units or features, actions)
        return cls(outer.weight, outer.bias, bound, inner)

    def member(self, index: int) -> Controllers:
        """One of them, as a population of one."""
        return self.part(slice(index, index + 1))

    def part(self, rows: slice) -> Controllers:
        """Some of them."""
        outer = self._outer.part(rows)
        return Controllers(outer.weight, outer.bias, self.bound, self.inner and self.inner.part(rows))

    def narrowed(self) -> tuple[Tensor, Controllers]:
        """Which features any of them gives a weight, int64 (F',), and the same controllers of these alone."""
        first = self.first
        sees = first.weight.ne(0.0).flatten(0, 1).any(dim=0).nonzero().squeeze(1)
        return sees, self.with_first(Layer(first.weight[..., sees], first.bias))

    def to(self, device: torch.device) -> Controllers:
        outer = self._outer.to(device)
        return Controllers(outer.weight, outer.bias, self.bound, self.inner and self.inner.to(device))

    def after(self, scaling: FeatureScaling) -> Controllers:
        """Controllers of raw features that act as these do on scaled ones; as linear as they are."""
        weight = self.first.weight / scaling.spread
        return self.with_first(Layer(weight, self.first.bias - weight @ scaling.centre))

    def before(self, scaling: FeatureScaling) -> Controllers:
        """The inverse of `after`: controllers of scaled features that act as these do on raw ones."""
        first = self.first
        return self.with_first(Layer(first.weight * scaling.spread, first.bias + first.weight @ scaling.centre))

    @property
    def first(self) -> Layer:
        """The layer that reads features."""
        return self._outer if self.inner is None else self.inner

    @property
    def units(self) -> int:
        """Hidden units, 0 if there are none."""
        return 0 if self.inner is None else self.inner.bias.shape[1]

    def with_first(self, layer: Layer) -> Controllers:
        """The same with another layer to read features."""
        if self.inner is None:
            return Controllers(layer.weight, layer.bias, self.bound)
        return dataclasses.replace(self, inner=layer)

    def to_vectors(self) -> Tensor:
        """The inverse of `from_vectors`, (P, `parameter_count`)."""
        layers = ([] if self.inner is None else [self.inner]) + [self._outer]
        return torch.cat([layer.to_vectors() for layer in layers], dim=1)

    @property
    def _outer(self) -> Layer:
        return Layer(self.weight, self.bias)


def first_vector(features: int, actions: int, units: int, seed: int) -> Tensor:
    """Where evolution begins, (`parameter_count`,): the uniformly random agent, whose units all see something else."""
    vector = torch.zeros(parameter_count(features, actions, units))
    if units:
        luck = torch.Generator().manual_seed(seed)
        vector[: features * units] = torch.randn(features * units, generator=luck) / math.sqrt(features)
    return vector

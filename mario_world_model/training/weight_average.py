"""The mean of a network's weights along its training, which is what the training gives."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Network = TypeVar("Network", bound=nn.Module)

_EXPONENT = 7.0
"""Weights count by this power of the number of the update that made them: a profile a tenth as wide as the training is
long, however long that is (Karras et al. 2024, "Analyzing and Improving the Training Dynamics of Diffusion Models",
section 3.1)."""


class WeightAverage(Generic[Network]):
    """The mean of the weights that a network has had, the latest counting most.

    At a rate that does not fall, Adam keeps every weight moving about a place where it would come to rest; the mean is
    near that place at any time.
    """

    def __init__(self, network: Network, on: bool) -> None:
        """`follow` is to be called before the first update and after each; not `on`: the network alone is there."""
        self._trained = network
        self._average = AveragedModel(network, multi_avg_fn=_move).requires_grad_(False) if on else None
        self.network = network if self._average is None else cast(Network, self._average.module)
        """What the training gives, as it is now."""
        self.parts = {} if self._average is None else {"average": self._average}
        """What an interrupted training goes on from besides."""

    def follow(self) -> None:
        """Take the weights of now into the mean."""
        if self._average is not None:
            self._average.update_parameters(self._trained)


@torch.no_grad()
def _move(
    means: tuple[Tensor, ...] | list[Tensor], latest: tuple[Tensor, ...] | list[Tensor], before: Tensor | int
) -> None:
    """Move means over the weights of `before` moments on to those of one more."""
    # A tensor, since a GPU would have to be waited for to know the number.
    share = 1.0 - (1.0 - 1.0 / (before + 1)) ** (_EXPONENT + 1.0)
    for mean, one in zip(means, latest, strict=True):
        mean.lerp_(one, share)

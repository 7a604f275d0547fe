"""The rows of a batch that one of several processes computes, and what has to be known of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Some rows of a batch.

    A loss is a sum over rows but for what is divided by, or taken a logarithm of, over the whole batch. The mean over
    all shares of their gradients is the gradient of the whole batch.
    """

    rows: slice
    count: int
    """Shares that the batch is cut into."""
    mean: Callable[[Tensor], Tensor]
    """The mean of a tensor over all shares, with the gradient of this share's own part."""


WHOLE = Share(slice(None), 1, lambda value: value)
"""The whole batch, where nobody shares."""

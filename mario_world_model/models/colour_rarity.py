"""How much a pixel counts in V's reconstruction: the rarer its colour, the more."""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 4  # per channel: 16 shades tell every colour of the console apart, blends of the resize included
_BINS = 1 << 3 * _BITS
_LARGEST_WEIGHT = 50.0  # a colour seen once is not worth a sprite


class ColourRarity:
    """Weights of pixels by the share p of their colour in the data, w ∝ p^-exponent, of mean 1.

    Sky and ground fill a screen, while Mario and what kills him are some 30 pixels of 4,096 in colours
    that little else has. Under equal weights V spends its latent on scenery and paints sprites faintly.
    """

    def __init__(self, frames: Tensor, exponent: float) -> None:
        """Count colours in frames uint8 (N, 64, 64, 3)."""
        counts = torch.bincount(_bins(frames).flatten(), minlength=_BINS).double()
        shares = counts.clamp(min=1.0) / counts.sum()
        weights = (shares**-exponent).clamp(max=_LARGEST_WEIGHT * float((shares ** (1.0 - exponent)).sum()))
        self.table = (weights / (weights * counts).sum() * counts.sum()).float().to(frames.device)

    def weights(self, frames: Tensor) -> Tensor:
        """Weights (B, 1, 64, 64) of the pixels of frames uint8 (B, 64, 64, 3)."""
        return self.table[_bins(frames)].unsqueeze(1)


def _bins(frames: Tensor) -> Tensor:
    red, green, blue = (frames >> 8 - _BITS).to(torch.int32).unbind(-1)
    return (red << 2 * _BITS) + (green << _BITS) + blue

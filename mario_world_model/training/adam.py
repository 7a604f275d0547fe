"""The optimiser of V and M."""

from __future__ import annotations

import torch
from torch import nn


def adam(network: nn.Module, rate: float) -> torch.optim.Adam:
    """Adam (Kingma & Ba 2015) over a network that is on its device.

    One pass over weights, gradients and moments where torch has one (`fused`), instead of a dozen: on a CPU a third of
    the time, which is a twentieth of an update.
    """
    device = next(network.parameters()).device.type
    return torch.optim.Adam(network.parameters(), lr=rate, fused=device in ("cpu", "cuda"))

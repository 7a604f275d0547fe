"""What keeps all its bits where a network is trained in bfloat16."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Within this, products of float32 tensors on the device of `like` are float32, whatever surrounds it.

    bfloat16 has 8 bits: a place on a screen would be right to a tile, a share near 1 to half a per cent.
    """
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()

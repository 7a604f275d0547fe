"""In how many bits networks multiply, and what keeps all of them where these are few."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from mario_world_model.config import Precision, PrecisionChoice

# Instructions with which a CPU multiplies in bfloat16 twice as fast as in float32, and more.
_FAST = ("amx_bf16", "avx512_bf16")
KERNEL_ROWS = 32
"""Rows that differ in number come in multiples of so many: the kernels of products are made for a number of rows, which
takes longer than a product of so many."""


def precision_on(device: torch.device, choice: PrecisionChoice) -> Precision:
    """What `choice` is on a device.

    A GPU is no faster in bfloat16 with networks of this size, and a CPU that has to emulate it a hundred times slower.
    """
    if choice != "auto":
        return choice
    # Which instructions there are not every torch can say.
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if device.type == "cpu" and any(known.get(one, False) for one in _FAST) else "float32"


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Within this, products of float32 tensors on the device of `like` are float32, whatever surrounds it.

    bfloat16 has 8 bits: a place on a screen would be right to a tile, a share near 1 to half a per cent.
    """
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()

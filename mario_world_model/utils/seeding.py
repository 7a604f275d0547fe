"""Independent random streams from one seed."""

from __future__ import annotations

import numpy as np
import torch


def stream(seed: int, *path: int) -> np.random.Generator:
    """A generator that depends on `seed` and a path of numbers (stage, episode, …) and on nothing else."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def stream_seed(seed: int, *path: int) -> int:
    """A 31-bit seed for libraries that take a number."""
    return int(stream(seed, *path).integers(2**31))


def torch_stream(seed: int, device: torch.device, *path: int) -> torch.Generator:
    """The same as a torch generator on `device`."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *path))

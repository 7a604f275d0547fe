"""Where tensors live."""

from __future__ import annotations

import torch

from mario_world_model.config import DeviceChoice
from mario_world_model.errors import InputError


def choose_device(choice: DeviceChoice) -> torch.device:
    """The device for a choice; `auto` takes CUDA, else Apple's MPS, else the CPU.

    Raises InputError when the device that was asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if choice == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[choice]:
        here = ", ".join(name for name, there in present.items() if there)
        raise InputError(f"--device: expected a device that is there ({here}), found {choice}")
    return torch.device(choice)

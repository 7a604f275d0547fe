"""Where tensors live."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from mario_world_model.config import DeviceChoice
from mario_world_model.errors import InputError

CPU: Final = torch.device("cpu")

_SHARE_FOR_DATA = 0.5  # of a GPU's free memory; the rest is for weights, activations and other programs


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


def home_for(size: int, device: torch.device) -> torch.device:
    """Where `size` bytes of training data are kept: on a GPU with twice as much memory free, else in the machine's."""
    if device.type == "cuda" and size <= _SHARE_FOR_DATA * torch.cuda.mem_get_info(device)[0]:
        return device
    return CPU


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; to a GPU without waiting until it is there, while what the GPU does goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def gpus_here() -> list[str]:
    """The GPUs of this machine by name; raises InputError where there is none."""
    count = torch.cuda.device_count()
    if not count:
        raise InputError("--dream-on gpus: expected a CUDA device, found none")
    return [f"cuda:{number}" for number in range(count)]

"""How V and M compute while they are trained: in how many bits, and compiled or not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch

from mario_world_model.config import TrainMDNRNNConfig, TrainVAEConfig
from mario_world_model.errors import InputError
from mario_world_model.training.ranks import Ranks


def check_arithmetic(config: TrainVAEConfig | TrainMDNRNNConfig, device: torch.device, ranks: Ranks) -> None:
    """Refuse what this device or these processes cannot do."""
    if config.precision == "bfloat16" and not _has_bfloat16(device):
        raise InputError(f"--precision: expected float32 on this {device.type} device, found bfloat16")
    if config.compile and ranks.count > 1:
        raise InputError(f"--compile: expected one process, found {ranks.count} of torchrun's")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu"


def reduced(config: TrainVAEConfig | TrainMDNRNNConfig, device: torch.device) -> AbstractContextManager[object]:
    """Within this, the products of networks are computed in the precision of `config`; weights stay float32."""
    if config.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Say in one line what torch has to say where it cannot compile.

    Raises InputError instead of any error of the compiler.
    """
    try:
        yield
    except Exception as error:
        # torch's compiler takes a second to import, which only those pay who have asked for it.
        compiler = sys.modules.get("torch._dynamo.exc")
        if compiler is None or not isinstance(error, compiler.TorchDynamoException):
            raise
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"--compile: expected a machine on which torch can compile, found {said:.200}; leave --compile out"
        ) from error

"""The processes that train one model together, as torchrun starts them, and what is whose.

All of them know the same weights, draw the same luck and cut the same batches; each computes the gradient of its own
rows, and the mean of these is the gradient of the whole batch. The first rank alone locks, writes and talks.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mario_world_model.models.share import WHOLE, Share

Value = TypeVar("Value")
Module = TypeVar("Module", bound=nn.Module)

# The first rank may encode a whole data set while the others wait.
_PATIENCE = datetime.timedelta(hours=12)


@dataclass(frozen=True)
class Ranks:
    """This process among `count`."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.number == 0

    def told(self, value: Value) -> Value:
        """What the first rank has: a decision by its clock, the content of its files."""
        if self.count == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def any_of(self, value: Value | None) -> Value | None:
        """What any rank has, that of the first of them; None if none has anything."""
        if self.count == 1:
            return value
        told: list[Value | None] = [None] * self.count
        torch.distributed.all_gather_object(told, value)
        return next((one for one in told if one is not None), None)

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The others begin when the first rank has ended, and find what it has left on disk."""
        if not self.first:
            torch.distributed.barrier()
        yield
        if self.first and self.count > 1:
            torch.distributed.barrier()

    def share(self, rows: int) -> Share:
        """This rank's part of a batch of so many rows; of fewer rows than ranks, all of it: the mean is the same."""
        if rows < self.count or self.count == 1:
            return WHOLE
        size, more = divmod(rows, self.count)
        first = self.number * size + min(self.number, more)
        return Share(slice(first, first + size + (self.number < more)), self.count, _mean_of_ranks)

    def together(self, module: Module) -> Module:
        """A module whose gradients are the means over all ranks."""
        return module if self.count == 1 else cast(Module, DistributedDataParallel(module))


ALONE = Ranks()
"""A process that shares its work with no other."""


def first_of_all() -> bool:
    """Whether this process is alone or torchrun's first, before or after the ranks have joined: the one that talks."""
    return os.environ.get("RANK", "0") == "0" or not torch.distributed.is_torchelastic_launched()


@contextlib.contextmanager
def join_ranks() -> Iterator[Ranks]:
    """The ranks that torchrun has started; a process of its own is alone.

    Gradients travel by NCCL between GPUs, one for each rank of a machine, and by gloo between CPUs.
    """
    if not torch.distributed.is_torchelastic_launched() or torch.distributed.is_initialized():
        yield ALONE
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def _mean_of_ranks(value: Tensor) -> Tensor:
    """The mean over all ranks, with the gradient of this rank's part: DDP takes the mean of the gradients."""
    mean = value.detach().clone()
    torch.distributed.all_reduce(mean)
    mean /= torch.distributed.get_world_size()
    return value + (mean - value.detach())

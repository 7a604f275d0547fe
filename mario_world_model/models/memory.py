"""What M remembers: the state of its LSTM."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """State of a recurrent network, both (B, H)."""

    hidden: Tensor
    cell: Tensor

    def repeat(self, times: int) -> Memory:
        """The same states `times` over, (times·B, H)."""
        return Memory(self.hidden.repeat(times, 1), self.cell.repeat(times, 1))

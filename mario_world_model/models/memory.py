"""What M remembers: the state of its LSTM, and the latent it read last."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """State of a recurrent network."""

    hidden: Tensor
    """(B, H), what outputs and controllers see (`MDNRNN.hidden_size`)."""
    cell: Tensor
    """(B, C): the LSTM's cells, and behind them what else M keeps (`MDNRNN.initial_memory`)."""

    def repeat(self, times: int) -> Memory:
        """The same states `times` over, (times·B, H)."""
        return Memory(self.hidden.repeat(times, 1), self.cell.repeat(times, 1))

    def of(self, rows: Tensor) -> Memory:
        """The states of some rows, int64 (N,), which may come several times."""
        return Memory(self.hidden[rows], self.cell[rows])

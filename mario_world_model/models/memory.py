"""What M remembers: an LSTM over whole latents, or one over a grid of cells together with a small one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_world_model.models.vae import GRID


@dataclass(frozen=True)
class Memory:
    """State of a recurrent network, both (B, S)."""

    hidden: Tensor
    cell: Tensor

    def repeat(self, times: int) -> Memory:
        """The same states `times` over, (times·B, S)."""
        return Memory(self.hidden.repeat(times, 1), self.cell.repeat(times, 1))


class VectorMemory(nn.Module):
    """One LSTM that reads latent and action (Ha & Schmidhuber 2018, appendix A.2)."""

    def __init__(self, latent_size: int, actions: int, hidden_size: int) -> None:
        super().__init__()
        self.size = self.summary_size = hidden_size
        self._actions = actions
        self.lstm = nn.LSTM(latent_size + actions, hidden_size, batch_first=True)

    def forward(self, latents: Tensor, actions: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Read latents (B, T, Z) and actions int64 (B, T); hidden states (B, T, S) and the last state."""
        one_hot = functional.one_hot(actions, self._actions).to(latents.dtype)
        state = (memory.hidden.unsqueeze(0), memory.cell.unsqueeze(0))
        hidden, (last_hidden, last_cell) = self.lstm(torch.cat([latents, one_hot], dim=-1), state)
        return hidden, Memory(last_hidden.squeeze(0), last_cell.squeeze(0))

    def summary(self, hidden: Tensor) -> Tensor:
        """What a controller is given of a hidden state (..., S): all of it."""
        return hidden


class GridMemory(nn.Module):
    """A convolutional LSTM over the cells of a grid latent (Shi et al. 2015), and an LSTM that reads all of it.

    What a goomba does it does wherever it is: weights that every cell shares learn it from one place for all.
    What is everywhere alike, as the speed of the scrolling, goes through the small LSTM, whose last state
    biases all gates (pool-and-inject, Guez et al. 2019). It is also the memory that a controller sees.

    A state is [cells, small LSTM]: C·64 numbers in the order y, x, channel, then H.
    """

    def __init__(self, latent_size: int, actions: int, hidden_size: int, channels: int) -> None:
        super().__init__()
        self._actions, self.channels, self._cells = actions, channels, channels * GRID**2
        self.size, self.summary_size = self._cells + hidden_size, hidden_size
        depth = latent_size // GRID**2
        self.reads = nn.Conv2d(depth, 4 * channels, 3, padding=1, bias=False)
        self.recurs = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=False)
        self.place = nn.Parameter(torch.zeros(4 * channels, GRID, GRID))
        self.acts = nn.Embedding(actions, 4 * channels)
        self.inject = nn.Linear(hidden_size, 4 * channels)
        self.gather = nn.Linear(self._cells, hidden_size)
        self.lstm = nn.LSTMCell(hidden_size + actions, hidden_size)
        nn.init.normal_(self.acts.weight, std=0.1)
        with torch.no_grad():
            self.inject.bias[channels : 2 * channels] = 1.0  # cells begin by keeping what they hold

    def forward(self, latents: Tensor, actions: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """As `VectorMemory.forward`."""
        batch, steps, _ = latents.shape
        read = self.reads(latents.reshape(batch * steps, -1, GRID, GRID).contiguous(memory_format=torch.channels_last))
        given = (read + self.place + self.acts(actions).reshape(batch * steps, -1, 1, 1)).unflatten(0, (batch, steps))
        one_hot = functional.one_hot(actions, self._actions).to(latents.dtype)
        grid, vector = self.parts(memory.hidden)
        grid_cell, vector_cell = self.parts(memory.cell)
        hidden = []
        # Unbound at once: the gradient of indexing step by step would fill a whole tensor with zeros for each.
        for read_now, acted in zip(given.unbind(dim=1), one_hot.unbind(dim=1), strict=True):
            gates = self.recurs(grid) + read_now + self.inject(vector)[..., None, None]
            enter, keep, news, show = gates.chunk(4, dim=1)
            grid_cell = torch.sigmoid(keep) * grid_cell + torch.sigmoid(enter) * torch.tanh(news)
            grid = torch.sigmoid(show) * torch.tanh(grid_cell)
            gathered = torch.tanh(self.gather(self._flat(grid)))
            vector, vector_cell = self.lstm(torch.cat([gathered, acted], dim=1), (vector, vector_cell))
            hidden.append(torch.cat([self._flat(grid), vector], dim=1))
        cell = torch.cat([self._flat(grid_cell), vector_cell], dim=1)
        return torch.stack(hidden, dim=1), Memory(hidden[-1], cell)

    def summary(self, hidden: Tensor) -> Tensor:
        """What a controller is given of a hidden state (..., S): the small LSTM's."""
        return hidden[..., self._cells :]

    def parts(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, C, 8, 8) and small LSTM (B, H) of a state (B, S)."""
        cells = state[:, : self._cells].reshape(-1, GRID, GRID, self.channels)
        return cells.permute(0, 3, 1, 2), state[:, self._cells :]

    def _flat(self, grid: Tensor) -> Tensor:
        return grid.permute(0, 2, 3, 1).reshape(len(grid), self._cells)


class CellLinear(nn.Module):
    """A linear map of every cell and the small LSTM, the same for all cells but for a bias of its own in each."""

    def __init__(self, memory: GridMemory, outputs: int) -> None:
        super().__init__()
        self._cells, self._channels = memory.size - memory.summary_size, memory.channels
        self.cell = nn.Linear(memory.channels, outputs, bias=False)
        self.vector = nn.Linear(memory.summary_size, outputs)
        self.place = nn.Parameter(torch.zeros(GRID**2, outputs))

    def forward(self, hidden: Tensor) -> Tensor:
        """States (..., S) to (..., outputs, 64), the order in which a grid latent is flattened."""
        cells = hidden[..., : self._cells].unflatten(-1, (GRID**2, self._channels))
        each: Tensor = self.cell(cells) + self.vector(hidden[..., self._cells :]).unsqueeze(-2) + self.place
        return each.transpose(-1, -2)


class GridHead(nn.Module):
    """Weights, means and log deviations of a joint mixture over a grid latent."""

    def __init__(self, memory: GridMemory, mixtures: int, latent_size: int) -> None:
        super().__init__()
        self._mixtures = mixtures
        self._summary = memory.summary
        self.weights = nn.Linear(memory.summary_size, mixtures)
        self.cells = CellLinear(memory, mixtures * 2 * latent_size // GRID**2)
        # What comes into view is in no cell yet; the small LSTM has to know where in the level it is.
        self.scenery = nn.Linear(memory.summary_size, latent_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """States (..., S) to K times [weight, means, deviations], (..., K·(1 + 2·Z))."""
        summary = self._summary(hidden)
        gaussians = self.cells(hidden).flatten(-2).unflatten(-1, (self._mixtures, 2, -1))
        means, deviations = gaussians.unbind(dim=-2)
        means = means + self.scenery(summary).unsqueeze(-2)
        return torch.cat([self.weights(summary).unsqueeze(-1), means, deviations], dim=-1).flatten(-2)

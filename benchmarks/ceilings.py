"""The machine's two ceilings: how fast it multiplies matrices and how fast it copies memory."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.figures import Ceilings
from benchmarks.paired import Piece, median_rate
from mario_world_model.models.mdn_rnn import MDNRNN

_SIDE = 2048
_COPIED = 64 * 2**20  # bytes; larger than any cache
DREAMS = 1536
"""Rows of the products of a dream step: 96 candidates × 16 start states, as `mario-world-model run` has them."""


def measure_ceilings(network: MDNRNN, repeats: int) -> Ceilings:
    """Measure both, the products at a large square and at the shapes of a dream step."""
    shapes = {f"{DREAMS} × {inputs} → {outputs}": (inputs, outputs) for inputs, outputs in product_shapes(network)}
    return Ceilings(
        square=median_rate(square_product, repeats) / 1e9,
        dream_shapes={name: median_rate(_product(DREAMS, *shape), repeats) / 1e9 for name, shape in shapes.items()},
        copying=median_rate(_copy(), repeats) / 1e9,
    )


def product_shapes(network: MDNRNN) -> list[tuple[int, int]]:
    """(inputs, outputs) of the products that a dream step consists of."""
    config = network.config
    width = config.head_size or network.hidden_size
    shapes = [(network.lstm.input_size + config.hidden_size, 4 * config.hidden_size)]
    if config.head_size:
        shapes += [(network.hidden_size + network.latent_size, width), (width, width), (width, width)]
    # Of a joint mixture only the weights and the chosen component are computed.
    shapes.append((width, (config.mixtures + 2 * network.latent_size)))
    if network.gate_head is not None:
        shapes.append((width, network.latent_size))
    shapes.append((width, network.step_head.out_features))
    return shapes


_square: list[Tensor] = []


def square_product() -> float:
    """One large square product; returns its operations."""
    if not _square:
        _square.extend(torch.randn(3, _SIDE, _SIDE).unbind())
    torch.mm(_square[0], _square[1], out=_square[2])
    return 2.0 * _SIDE**3


def _product(rows: int, inputs: int, outputs: int) -> Piece:
    left, right, bias = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
    times = max(1, int(2e9 / (rows * inputs * outputs)))

    def multiply() -> float:
        for _ in range(times):
            torch.nn.functional.linear(left, right, bias)
        return 2.0 * rows * inputs * outputs * times

    return multiply


def _copy() -> Piece:
    source, target = torch.ones(2, _COPIED // 4).unbind()

    def copy() -> float:
        for _ in range(4):
            target.copy_(source)
        return 4.0 * 2 * _COPIED

    return copy

"""The fast path against the plain formula in float64."""

from __future__ import annotations

import torch
from torch import nn

from mario_world_model.training.adam import adam


def test_updates_are_those_of_the_formula() -> None:
    """Kingma & Ba 2015, algorithm 1."""
    torch.manual_seed(0)
    network = nn.Linear(7, 5)
    expected = [parameter.detach().double() for parameter in network.parameters()]
    first, second = ([torch.zeros_like(one) for one in expected] for _ in range(2))
    optimiser = adam(network, 0.01)
    for step in range(1, 21):
        optimiser.zero_grad(set_to_none=True)
        network(torch.randn(3, 7)).square().sum().backward()
        for number, parameter in enumerate(network.parameters()):
            assert parameter.grad is not None
            gradient = parameter.grad.double()
            first[number] = 0.9 * first[number] + 0.1 * gradient
            second[number] = 0.999 * second[number] + 0.001 * gradient**2
            mean, square = first[number] / (1 - 0.9**step), second[number] / (1 - 0.999**step)
            expected[number] = expected[number] - 0.01 * mean / (square.sqrt() + 1e-8)
        optimiser.step()
        # From one step to the next in single precision, so that roundings do not pile up.
        for number, parameter in enumerate(network.parameters()):
            torch.testing.assert_close(parameter.detach().double(), expected[number], rtol=1e-5, atol=1e-6)
            expected[number] = parameter.detach().double()

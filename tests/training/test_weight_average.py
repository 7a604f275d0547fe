"""The mean of weights along a training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mario_world_model.training.weight_average import WeightAverage


def test_weights_count_by_a_power_of_their_number() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, on=True)
    seen = []
    for _ in range(50):
        torch.nn.init.normal_(network.weight)
        average.follow()
        seen.append(network.weight.detach().double())
    # (1 - 1 / j)^8 of all that come after leave of the k-th (k / 50)^8.
    shares = torch.tensor([(k**8 - (k - 1) ** 8) / 50**8 for k in range(1, 51)], dtype=torch.float64)
    assert shares.sum().item() == pytest.approx(1.0)
    expected = torch.einsum("k,koi->oi", shares, torch.stack(seen))
    assert torch.allclose(average.network.weight.double(), expected, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_mean_of_noisy_steps_is_nearer_than_the_last_of_them() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Linear(8, 1), torch.randn(512, 8)
    targets = inputs @ torch.arange(8.0).unsqueeze(-1)
    average = WeightAverage(network, on=True)
    average.follow()
    optimiser = torch.optim.Adam(network.parameters(), 0.1)
    for _ in range(600):
        rows = torch.randint(512, (4,))
        optimiser.zero_grad()
        (network(inputs[rows]) - targets[rows] - torch.randn(4, 1)).square().mean().backward()
        optimiser.step()
        average.follow()

    def error(linear: nn.Linear) -> float:
        return (linear(inputs) - targets).square().mean().item()

    assert error(average.network) < 0.5 * error(network)


def test_without_it_the_network_itself_is_given() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, on=False)
    average.follow()
    assert average.network is network
    assert average.parts == {}

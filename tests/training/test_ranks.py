"""Shares of a batch and the whole of it; `tests/cluster` has the processes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from mario_world_model.config import MDNRNNConfig, TrainMDNRNNConfig, VAEConfig
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.share import WHOLE, Share
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.sequences import SequenceBatch
from mario_world_model.training.mdn_rnn_loss import mdn_rnn_loss
from mario_world_model.training.ranks import ALONE, Ranks


def gradient(network: torch.nn.Module, loss: Tensor) -> Tensor:
    gradients = torch.autograd.grad(loss, [weight for weight in network.parameters() if weight.requires_grad])
    return torch.cat([one.flatten() for one in gradients])


@pytest.mark.parametrize("open_loop", [0, 6])
def test_the_mean_gradient_of_shares_is_that_of_the_batch_for_m(open_loop: int) -> None:
    torch.manual_seed(0)
    network = MDNRNN(MDNRNNConfig(hidden_size=12, head_size=10), 16, 7).double()
    mask = (torch.rand(5, 9) < 0.8).double()
    batch = SequenceBatch(
        Posterior(torch.randn(5, 10, 16).double(), torch.randn(5, 10, 16).double()),
        torch.randint(7, (5, 9)),
        torch.randn(5, 9).double(),
        (torch.rand(5, 9, 2) < 0.1).double(),
        mask,
    )
    config = dataclasses.replace(TrainMDNRNNConfig(), open_loop=open_loop)

    def of(share: Share) -> Tensor:
        luck = torch.Generator().manual_seed(3)
        return gradient(network, mdn_rnn_loss(network, batch, config, luck, None, share).total)

    shares = [dataclasses.replace(WHOLE, rows=Ranks(number, 2).share(5).rows, count=2) for number in range(2)]
    assert [share.rows for share in shares] == [slice(0, 3), slice(3, 5)]
    torch.testing.assert_close(sum(map(of, shares)) / 2, of(WHOLE))


def test_the_mean_gradient_of_shares_is_that_of_the_batch_for_v() -> None:
    """Though its error is under a logarithm, for which a share has to know those of the others."""
    torch.manual_seed(0)
    vae = VAE(VAEConfig(widths=(4, 8, 8)))
    frames, noise = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8), torch.randn(4, 80)
    frames[2:] //= 8
    landmarks, enemies = torch.randn(4, 18), torch.randn(4, 5, 2)
    errors: list[Tensor] = []

    def of(share: Share) -> Tensor:
        part = (frames[share.rows], noise[share.rows], None, landmarks[share.rows], enemies[share.rows], 10.0)
        return gradient(vae, vae.loss(*part, share).total)

    def remember(value: Tensor) -> Tensor:
        errors.append(value.detach())
        return value

    halves = [slice(0, 2), slice(2, 4)]
    for rows in halves:
        of(Share(rows, 2, remember))
    mean = (errors[0] + errors[1]) / 2
    halved = [of(Share(rows, 2, lambda value: value + (mean - value.detach()))) for rows in halves]
    torch.testing.assert_close(sum(halved) / 2, of(WHOLE), rtol=1e-3, atol=1e-3)


def test_a_process_alone_asks_nobody() -> None:
    assert ALONE.first
    assert ALONE.told(3) == 3
    assert ALONE.any_of(None) is None
    assert ALONE.share(7) is WHOLE
    # Of fewer rows than ranks every rank computes all.
    assert Ranks(1, 4).share(3) is WHOLE

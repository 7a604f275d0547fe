from __future__ import annotations

import dataclasses

import pytest
import torch

from mario_world_model.config import TrainMDNRNNConfig
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import Posterior
from mario_world_model.rollouts.sequences import SequenceBatch
from mario_world_model.training.mdn_rnn_loss import mdn_rnn_loss
from tests.world import ACTIONS, small_world

B, L, Z = 6, 12, 64


def batch() -> SequenceBatch:
    torch.manual_seed(3)
    mask = torch.ones(B, L)
    mask[0, 5:] = 0.0
    endings = torch.zeros(B, L, 2)
    endings[0, 4, 0] = 1.0
    posterior = Posterior(torch.randn(B, L + 1, Z), torch.full((B, L + 1, Z), -3.0))
    return SequenceBatch(posterior, torch.randint(ACTIONS, (B, L)), torch.randn(B, L), endings, mask)


def loss(network: MDNRNN, given: SequenceBatch, **settings: object):  # type: ignore[no-untyped-def]
    config = dataclasses.replace(TrainMDNRNNConfig(), **settings)  # type: ignore[arg-type]
    return mdn_rnn_loss(network, given, config, torch.Generator().manual_seed(0))


def test_padding_counts_for_nothing() -> None:
    network, given = small_world().mdn_rnn, batch()
    spoilt = batch()
    spoilt.posterior.mean[0, 6:] = 50.0
    spoilt.rewards[0, 5:] = 50.0
    for own in (0, 5):
        torch.testing.assert_close(
            loss(network, given, open_loop=own).total, loss(network, spoilt, open_loop=own).total
        )


@torch.no_grad()
def test_padding_is_not_predicted_from() -> None:
    network, given, predicted = small_world().mdn_rnn, batch(), []
    assert network.head is not None
    network.head.register_forward_hook(lambda _module, _given, out: predicted.append(out.numel() // out.shape[-1]))
    given.mask[:4, 3:] = 0.0
    few = loss(network, given)
    assert given.mask.sum() == 36
    assert predicted == [64]
    assert few.steps == 36
    # Nor does it change what is found: the same windows without a batch around them.
    short, long = (given.part(rows) for rows in (slice(0, 4), slice(4, 6)))
    alone = [loss(network, part, input_noise=0.0) for part in (short, long)]
    together = loss(network, given, input_noise=0.0)
    expected = sum(float(one.latent * one.steps) for one in alone) / 36
    assert float(together.latent) == pytest.approx(expected, rel=1e-5)


def test_m_learns_how_steps_end_beside_heads_that_half_know_it() -> None:
    """In the mean of two opinions who says nothing yet changes little, and would learn as little."""
    network, given = small_world(ending_heads=2).mdn_rnn, batch()
    gradients = []
    for theirs in (-9.0, 0.0):
        assert network.ending_heads is not None
        for member in network.ending_heads.members.children():
            torch.nn.init.zeros_(member[-1].weight)
            torch.nn.init.constant_(member[-1].bias, theirs)
        torch.nn.init.constant_(network.step_head.bias, -6.0)
        network.zero_grad()
        loss(network, given).total.backward()
        assert network.step_head.bias.grad is not None
        gradients.append(network.step_head.bias.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_spread_is_not_fitted_to_steps_on_own_samples() -> None:
    """Else a dream would grow less certain with every step, and dissolve into noise."""
    network, given = small_world().mdn_rnn, batch()
    spread = network.mixture_head.weight.view(3, -1, 20)[:, 1 + Z :]
    gradients = []
    for weight in (0.0, 1.0):
        network.zero_grad()
        loss(network, given, open_loop=5, open_loop_teaches="all", open_loop_weight=weight).total.backward()
        assert network.mixture_head.weight.grad is not None
        gradients.append(network.mixture_head.weight.grad.view(3, -1, 20).clone())
    assert spread.shape == gradients[0][:, 1 + Z :].shape
    torch.testing.assert_close(gradients[0][:, 1 + Z :], gradients[1][:, 1 + Z :])
    assert not torch.allclose(gradients[0][:, 1 : 1 + Z], gradients[1][:, 1 : 1 + Z])


def test_training_on_own_samples_brings_dreams_back_to_the_truth() -> None:
    """A slowly turning signal with strong noise in what M reads: what it dreams 12 steps on stays close."""
    torch.manual_seed(0)
    network = MDNRNN(small_world().mdn_rnn.config, Z, ACTIONS)
    turn = torch.linspace(0.0, 6.28, L + 1)
    truth = torch.sin(turn[None, :, None] + torch.linspace(0, 3, Z)).expand(B, L + 1, Z).clone()
    given = dataclasses.replace(
        batch(), posterior=Posterior(truth, torch.full_like(truth, -3.0)), mask=torch.ones(B, L)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    luck = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(120):
        found = mdn_rnn_loss(
            network, given, TrainMDNRNNConfig(open_loop=11, open_loop_teaches="all", sequence_length=L), luck
        )
        optimiser.zero_grad()
        found.total.backward()
        optimiser.step()
        losses.append(float(found.open_loop))
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


@torch.no_grad()
def test_noise_is_in_what_is_read_a_share_of_what_each_number_changes_by() -> None:
    """Every number goes up and down by as much as it is numbered; what stands still is read as it is."""
    network, read = small_world().mdn_rnn, []
    network.lstm.register_forward_hook(lambda _module, given, _out: read.append(given[0][..., :Z]))
    step = torch.arange(Z) / Z
    wave = torch.where(torch.arange(L + 1) % 2 == 0, 0.5, -0.5)[None, :, None] * step
    given = dataclasses.replace(batch(), posterior=Posterior(wave.expand(B, -1, -1), torch.zeros(B, L + 1, Z)))
    losses = [loss(network, given, open_loop=0, input_noise=noise) for noise in (0.0, 0.3)]
    noise = (read[1] - read[0]).square().mean(dim=(0, 1)).sqrt()
    assert noise[0] == 0.0
    shares = noise[1:] / step[1:]
    # The mean square of deviations drawn evenly from 0 to 0.3 is 0.03; six sequences draw six.
    assert 0.05 < float(shares.mean()) < 0.3
    assert float(shares.std() / shares.mean()) < 0.2
    assert losses[1].latent != losses[0].latent


def test_own_samples_teach_endings_and_leave_what_is_expected_alone() -> None:
    network, given = small_world(head_size=0).mdn_rnn, batch()
    gradients = {}
    for weight in (0.0, 1.0):
        network.zero_grad()
        loss(network, given, open_loop=5, open_loop_weight=weight).total.backward()
        for name, head in (("mixture", network.mixture_head), ("step", network.step_head)):
            assert head.weight.grad is not None
            gradients[name, weight] = head.weight.grad.clone()
    torch.testing.assert_close(gradients["mixture", 1.0], gradients["mixture", 0.0])
    assert not torch.allclose(gradients["step", 1.0], gradients["step", 0.0])

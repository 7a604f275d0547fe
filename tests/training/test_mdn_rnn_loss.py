from __future__ import annotations

import dataclasses

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
def test_noise_is_in_what_is_read_and_not_in_what_is_expected() -> None:
    """An M that expects what it reads, on a signal that stands still: all its error is the noise."""
    network = small_world(anchor="present").mdn_rnn
    torch.nn.init.zeros_(network.mixture_head.weight)
    torch.nn.init.zeros_(network.mixture_head.bias)
    steady = torch.randn(B, 1, Z).expand(B, L + 1, Z)
    given = dataclasses.replace(
        batch(),
        posterior=Posterior(steady, torch.zeros_like(steady)),
    )
    quiet, noisy, noisier = (float(loss(network, given, open_loop=0, input_noise=n).latent) for n in (0.0, 0.5, 1.0))
    variance = float(network.predict(torch.zeros(1, 24), torch.zeros(1, Z)).latent.log_sigma[0, 0, 0].exp() ** 2)
    # The mean square of a deviation drawn evenly from 0 to n is n²/3; six sequences draw six.
    assert 0.0 < noisy - quiet < 0.5 * 0.5**2 / variance
    torch.testing.assert_close(noisier - quiet, 4.0 * (noisy - quiet), rtol=1e-3, atol=0.0)


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

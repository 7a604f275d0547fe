"""Small networks beside M say how a step ends; half of its word is theirs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mario_world_model.models.ending_heads import EndingHeads, mean_odds
from mario_world_model.models.mdn_rnn import DEATH, ENDINGS, MDNRNN
from mario_world_model.models.mixture import draw_noise
from mario_world_model.models.vae import Posterior
from mario_world_model.rollouts.latents import LatentEpisode
from mario_world_model.training.fit_endings import fit_endings
from tests.world import ACTIONS, small_world

Z = 64


def deadly_episodes(count: int, seed: int) -> list[LatentEpisode]:
    """Walks of latents in which action 3 kills where the first number is above 0.5, and nothing else does."""
    luck = torch.Generator().manual_seed(seed)
    episodes = []
    for _ in range(count):
        latents = torch.randn(41, Z, generator=luck)
        actions = torch.randint(ACTIONS, (40,), generator=luck)
        dies = torch.nonzero((latents[:40, 0] > 0.5) & (actions == 3)).flatten()
        steps = int(dies[0]) + 1 if len(dies) else 40
        endings = torch.zeros(steps, ENDINGS)
        endings[-1, DEATH] = float(len(dies) > 0)
        posterior = Posterior(latents[: steps + 1], torch.full((steps + 1, Z), -9.0))
        episodes.append(LatentEpisode(posterior, actions[:steps], torch.zeros(steps), endings))
    return episodes


def read(network: MDNRNN, episode: LatentEpisode) -> tuple[Tensor, Tensor]:
    latents = episode.posterior.mean[:-1].unsqueeze(0)
    hidden, _ = network(latents, episode.actions.unsqueeze(0), network.initial_memory(1))
    return hidden, latents


def test_the_mean_is_of_probabilities() -> None:
    odds = torch.randn(5, 7, ENDINGS) * 4
    torch.testing.assert_close(torch.sigmoid(mean_odds(odds)), torch.sigmoid(odds).mean(dim=0))
    sure = torch.tensor([[300.0, -300.0, 300.0], [300.0, -300.0, -300.0]])
    assert torch.equal(mean_odds(sure), torch.tensor([300.0, -300.0, 0.0]))


@torch.no_grad()
def test_half_of_what_is_said_is_theirs() -> None:
    network = small_world(ending_heads=3).mdn_rnn
    alone = small_world().mdn_rnn
    alone.load_state_dict(network.state_dict(), strict=False)
    hidden, latents = read(network, deadly_episodes(1, 0)[0])
    own = torch.sigmoid(alone.predict(hidden, latents).ending_logits)
    heads = network.ending_heads
    assert isinstance(heads, EndingHeads)
    recent = hidden[..., network.config.hidden_size :]
    theirs = torch.sigmoid(heads(torch.cat([latents, recent], dim=-1)))
    prediction = network.predict(hidden, latents)
    torch.testing.assert_close(torch.sigmoid(prediction.ending_logits), (own + theirs) / 2)
    noise = draw_noise((len(latents[0]),), 3, network.choices, Z, torch.Generator().manual_seed(0))
    imagined = network.imagine(hidden[0], latents[0], noise, 1.0)
    torch.testing.assert_close(imagined.ending_logits, prediction.ending_logits[0])
    # Theirs is the same whatever was long ago, M's own is not.
    other, _ = network(latents[:, -2:], deadly_episodes(1, 0)[0].actions[None, -2:], network.initial_memory(1))
    assert not torch.allclose(other[0, -1], hidden[0, -1])
    torch.testing.assert_close(other[0, -1, network.config.hidden_size :], recent[0, -1])


def test_they_find_what_kills_and_the_rest_of_m_stays_as_it_is() -> None:
    network = small_world(ending_heads=2).mdn_rnn
    heads = network.ending_heads
    assert heads is not None
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    fit_endings(network, deadly_episodes(1500, 1), epochs=4, noise=0.1, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    after = network.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {name for name in before if name.startswith("ending_heads.")}
    said, died = [], []
    with torch.no_grad():
        for episode in deadly_episodes(200, 2):
            hidden, latents = read(network, episode)
            recent = hidden[..., network.config.hidden_size :]
            said.append(torch.sigmoid(heads(network.ending_inputs(latents, recent)))[0, :, DEATH])
            died.append(episode.endings[:, DEATH])
    chance, dead = torch.cat(said), torch.cat(died)
    assert ((chance > 0.5) == (dead > 0.5)).float().mean() > 0.98
    assert chance[dead > 0.5].mean() > 0.5
    assert chance[dead < 0.5].mean() < 0.02
    assert float(chance.sum()) == pytest.approx(float(dead.sum()), rel=0.25)


def test_the_same_seed_fits_the_same_and_members_differ() -> None:
    fitted = []
    for seed in (3, 3, 4):
        network = small_world(ending_heads=2).mdn_rnn
        fit_endings(network, deadly_episodes(50, 1), epochs=1, noise=0.1, seed=seed)
        weights = network.state_dict()
        fitted.append([weights[f"ending_heads.members.{member}.0.weight"] for member in range(2)])
    assert torch.equal(fitted[0][0], fitted[1][0])
    assert not torch.equal(fitted[0][0], fitted[2][0])
    assert not torch.equal(fitted[0][0], fitted[0][1])


def test_training_leaves_them_alone() -> None:
    network = small_world(ending_heads=2).mdn_rnn.train()
    heads = network.ending_heads
    assert heads is not None
    assert not any(module.training for module in heads.modules() if isinstance(module, nn.Dropout))
    hidden, latents = read(network, deadly_episodes(1, 0)[0])
    network.predict(hidden, latents).ending_logits.sum().backward()
    assert all(weight.grad is None for weight in heads.parameters())
    assert network.step_head.weight.grad is not None


def test_one_without_them_is_given_some() -> None:
    network = small_world().mdn_rnn
    given = network.with_ending_heads(2)
    assert given.config.ending_heads == 2
    assert given.training == network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(given.state_dict()[name], tensor)

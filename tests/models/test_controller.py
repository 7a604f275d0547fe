from __future__ import annotations

import pytest
import torch

from mario_world_model.models.controller import Controllers, FeatureScaling, first_vector, parameter_count
from mario_world_model.models.mixture import draw_gumbel

P, S, F, A = 5, 4, 6, 3


def test_a_population_acts_as_its_members_do() -> None:
    vectors, features = torch.randn(P, parameter_count(F, A)), torch.randn(P, S, F)
    actions = Controllers.from_vectors(vectors, F, A, bound=0.0).act(features, torch.full((S, A), torch.nan))
    for row in range(P):
        weight, bias = vectors[row, : F * A].view(A, F), vectors[row, F * A :]
        expected = (features[row].double() @ weight.double().T + bias.double()).argmax(-1)
        assert torch.equal(actions[row], expected)


def test_vectors_survive_the_way_there_and_back() -> None:
    vectors = torch.randn(P, parameter_count(F, A))
    assert torch.equal(Controllers.from_vectors(vectors, F, A, bound=1.0).to_vectors(), vectors)


def test_hidden_units_are_a_layer_before() -> None:
    units = 4
    vectors, features = torch.randn(P, parameter_count(F, A, units)), torch.randn(P, S, F)
    controllers = Controllers.from_vectors(vectors, F, A, bound=0.0, units=units)
    assert controllers.units == units
    assert torch.equal(controllers.to_vectors(), vectors)
    actions = controllers.act(features, torch.zeros(S, A))
    for row in range(P):
        inner, inner_bias, outer, bias = vectors[row].double().split([F * units, units, units * A, A])
        hidden = torch.tanh(features[row].double() @ inner.view(units, F).T + inner_bias)
        assert torch.equal(actions[row], (hidden @ outer.view(A, units).T + bias).argmax(-1))
        assert torch.equal(controllers.member(row).act(features[row : row + 1], torch.zeros(S, A))[0], actions[row])


def test_evolution_begins_at_the_uniformly_random_agent() -> None:
    for units in (0, 4):
        vector = first_vector(F, A, units, seed=0)
        controller = Controllers.from_vectors(vector.unsqueeze(0), F, A, bound=1.0, units=units)
        gumbel = draw_gumbel((S, A), torch.Generator().manual_seed(0))
        assert torch.equal(controller.act(torch.randn(1, S, F), gumbel)[0], gumbel.argmax(-1))
        if controller.inner is not None:
            assert controller.inner.weight.std() > 0.2


def test_the_size_in_the_paper() -> None:
    # CarRacing: z 32, h 256, three outputs (Ha & Schmidhuber 2018, table 2 of the appendix).
    assert parameter_count(32 + 256, 3) == 867


def test_sampled_actions_follow_the_softmax_down_to_a_floor() -> None:
    count = 30_000
    controller = Controllers(torch.zeros(1, A, F), torch.tensor([[0.5, 1.0, -9.0]]), bound=1.0)
    gumbel = draw_gumbel((count, A), torch.Generator().manual_seed(0))
    actions = controller.act(torch.zeros(1, count, F), gumbel)
    shares = torch.bincount(actions[0], minlength=A) / count
    torch.testing.assert_close(shares, torch.softmax(torch.tensor([0.5, 1.0, -1.0]), 0), atol=0.02, rtol=0.0)


def test_large_logits_differ_as_small_ones_do() -> None:
    small, large = torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([[40.5, 41.0, 40.0]])
    weights, features = torch.zeros(1, A, F), torch.zeros(1, 1, F)
    of_small, of_large = (Controllers(weights, bias, bound=3.0).logits(features) for bias in (small, large))
    torch.testing.assert_close(of_small, of_large)


@pytest.mark.parametrize("units", [0, 4])
def test_scaling_changes_coordinates_and_not_behaviour(units: int) -> None:
    raw = 5.0 + 3.0 * torch.randn(200, F)
    scaling = FeatureScaling.of(raw)
    scaled = Controllers.from_vectors(torch.randn(P, parameter_count(F, A, units)), F, A, bound=0.0, units=units)
    features = raw[: P * S].view(P, S, F)
    gumbel = torch.zeros(S, A)
    expected = scaled.act((features - scaling.centre) / scaling.spread, gumbel)
    assert torch.equal(scaled.after(scaling).act(features, gumbel), expected)
    torch.testing.assert_close(scaled.after(scaling).before(scaling).to_vectors(), scaled.to_vectors())

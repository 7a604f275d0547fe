from __future__ import annotations

import torch

from mario_world_model.models.colour_rarity import ColourRarity


def frames() -> torch.Tensor:
    """Sky with one red pixel in a hundred."""
    picture = torch.zeros(4, 10, 10, 3, dtype=torch.uint8)
    picture[..., 2] = 255
    picture[:, 3, 3] = torch.tensor([200, 40, 0], dtype=torch.uint8)
    return picture


def test_rare_colours_weigh_more_and_all_weigh_one_on_average() -> None:
    weights = ColourRarity(frames(), exponent=0.5).weights(frames())
    assert weights.shape == (4, 1, 10, 10)
    torch.testing.assert_close(weights.mean(), torch.tensor(1.0))
    torch.testing.assert_close(weights[0, 0, 3, 3] / weights[0, 0, 0, 0], torch.tensor(99.0).sqrt())


def test_an_exponent_of_zero_weighs_all_alike() -> None:
    torch.testing.assert_close(ColourRarity(frames(), 0.0).weights(frames()), torch.ones(4, 1, 10, 10))


def test_a_colour_that_was_never_counted_has_a_bounded_weight() -> None:
    rarity = ColourRarity(frames(), exponent=2.0)
    strange = torch.full((1, 10, 10, 3), 128, dtype=torch.uint8)
    assert rarity.weights(strange).isfinite().all()
    assert rarity.weights(strange).max() <= 50.0 * 1.01 * rarity.weights(frames()).max()

"""How the learning rate falls over a run."""

from __future__ import annotations

import pytest

from mario_world_model.training.budget import Budget


def test_the_rate_falls_from_all_to_a_tenth_and_never_rises() -> None:
    budget = Budget(updates=10, minutes=0.0)
    scales = [budget.rate_scale(update) for update in range(11)]
    assert scales == sorted(scales, reverse=True)
    assert (scales[0], scales[5], scales[10]) == pytest.approx((1.0, 0.55, 0.1))


def test_the_rate_goes_by_the_clock_where_that_is_further() -> None:
    budget = Budget(updates=1_000_000, minutes=10.0, spent=300.0)
    assert budget.rate_scale(1) == pytest.approx(0.55, abs=0.05)

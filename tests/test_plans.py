from __future__ import annotations

import torch

from mario_world_model.plans import Plans


def rows(plans: Plans) -> list[list[int]]:
    """Every plan without its padding."""
    return [row[:length] for row, length in zip(plans.actions.tolist(), plans.lengths.tolist(), strict=True)]


def test_plans_of_any_length_lie_together() -> None:
    plans = Plans.all_of([Plans.held(torch.tensor([3, 1]), 1), Plans.held(torch.tensor([2]), 3)])
    assert rows(plans) == [[3], [1], [2, 2, 2]]
    assert rows(plans[torch.tensor([2, 0])]) == [[2, 2, 2], [3]]
    assert plans[0].actions.shape == (1, 1)


def test_a_plan_is_over_when_its_last_step_is() -> None:
    plans = Plans.all_of([Plans.held(torch.tensor([3]), 1), Plans.held(torch.tensor([2]), 2)])
    assert [plans.at(step)[1].tolist() for step in range(4)] == [[True, True], [False, True], *[[False, False]] * 2]
    assert plans.at(0)[0].tolist() == [3, 2]
    assert int(plans.at(1)[0][1]) == 2
    rest = plans[1].rest()
    assert rest is not None
    assert rows(rest) == [[2]]
    assert rest.rest() is None


def test_a_plan_goes_on_with_every_other_that_is_not_more_of_its_last_action() -> None:
    plans = Plans.all_of([Plans.held(torch.tensor([0]), 1), Plans.held(torch.tensor([1]), 3)])
    further = plans.then(Plans.held(torch.arange(3), 2))
    assert rows(further) == [[0, 1, 1], [0, 2, 2], [1, 1, 1, 0, 0], [1, 1, 1, 2, 2]]
    assert rows(further[3].then(Plans.held(torch.tensor([1, 2]), 1))) == [[1, 1, 1, 2, 2, 1]]

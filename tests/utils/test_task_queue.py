from __future__ import annotations

import pytest

from mario_world_model.errors import InputError
from mario_world_model.utils.task_queue import ATTEMPTS, LostError, TaskQueue, returned_by


def test_a_lost_task_is_next_until_it_has_been_lost_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = TaskQueue(3)
    assert [waiting.take(), waiting.take()] == [0, 1]
    for _ in range(ATTEMPTS - 1):
        waiting.lost(0, LostError("a node was lost"))
        assert len(waiting) == 2
        assert waiting.take() == 0
    with pytest.raises(InputError, match=f"a node was lost, {ATTEMPTS} times with the same task"):
        waiting.lost(0, LostError("a node was lost"))
    waiting.lost(1, LostError("another"))  # of which nobody has heard before
    assert [waiting.take(), waiting.take()] == [1, 2]
    assert capsys.readouterr().err.count("its task is run again") == ATTEMPTS


def test_only_a_mistake_of_the_users_is_not_tried_again() -> None:
    assert returned_by("worker 7", True, None) is None
    with pytest.raises(InputError, match="a mistake"):
        returned_by("worker 7", False, InputError("a mistake"))
    with pytest.raises(LostError, match="worker 7 failed with ValueError: a fault") as caught:
        returned_by("worker 7", False, ValueError("a fault"))
    assert isinstance(caught.value.cause, ValueError)

from __future__ import annotations

import numpy as np

from mario_world_model.playground.clock import Clock

PERIOD = 1 / 15


def run(seconds: float, keys: list[float], took: float = 0.0) -> tuple[list[float], list[float]]:
    """Times of the steps, and how long each key waited for the next one, under keys at given times."""
    clock, now, steps, waits, pressed = Clock(0.0, PERIOD), 0.0, [], [], []
    waiting = sorted(keys)
    while now < seconds:
        if waiting and waiting[0] <= clock.due:
            now = max(now, waiting.pop(0))
            pressed.append(now)
            clock.hasten(now)
            continue
        now = max(now, clock.due)
        steps.append(now)
        waits += [now - key for key in pressed]
        pressed = []
        now += took
        clock.stepped(now)
    return steps, waits


def test_steps_come_at_the_rate_of_the_slots() -> None:
    steps, _ = run(10.0, [])
    np.testing.assert_allclose(np.diff(steps), PERIOD, rtol=1e-6)


def test_a_lone_key_is_answered_at_once() -> None:
    _, waits = run(10.0, [1.01, 2.05, 3.3, 4.44, 7.77])
    assert max(waits) < 1e-9


def test_keys_however_many_do_not_make_time_run_faster() -> None:
    rng = np.random.default_rng(1)
    steps, waits = run(20.0, list(rng.uniform(0, 20, 2000)))
    assert abs(len(steps) - 300) <= 2
    assert max(waits) <= PERIOD + 1e-9


def test_steps_that_take_too_long_leave_no_debt() -> None:
    steps, _ = run(2.0, [], took=0.2)
    np.testing.assert_allclose(np.diff(steps), 0.2 + PERIOD, rtol=0.5)
    assert min(np.diff(steps)) >= 0.2

"""The same game on both backends: the same events, the same places, the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from mario_world_model.emulation.backends import installed
from mario_world_model.emulation.palette import _PAIRS, to_fceumm
from mario_world_model.utils.environment import MarioEnv

pytestmark = pytest.mark.usefixtures("rom")

needs_both = pytest.mark.skipif(
    not (installed("stable-retro") and installed("nes-py")),
    reason="stable-retro and nes-py are not both installed",
)


def record(
    backend: str, target: tuple[int, int], actions: list[int], skip: int
) -> list[tuple[np.ndarray, bool, bool, np.ndarray]]:
    """Truth, done, flag and screen of every step until the end."""
    env = MarioEnv(target, backend=backend, frame_skip=skip)
    env.reset()
    steps = []
    for action in actions:
        screen, _, done, _, info = env.step(action)
        steps.append((env.truth(), done, info["flag_get"], screen))
        if done:
            break
    env.close()
    return steps


@needs_both
@pytest.mark.parametrize("target", [(1, 1), (1, 2), (8, 1)])
def test_places_deaths_and_pictures(target: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    actions = [int(a) for a in rng.choice([1, 2, 3, 4, 4, 4, 3], size=50) for _ in range(8)]
    # nes-py ends its frames later in the console's cycle, so that each button acts one frame later.
    nes = record("nes-py", target, actions, 1)[1:]
    retro = record("stable-retro", target, actions[:-1], 1)
    assert len(retro) == len(nes)
    assert [done for _, done, _, _ in retro] == [done for _, done, _, _ in nes]
    for ours, theirs in zip(retro, nes, strict=True):
        np.testing.assert_array_equal(ours[0][:5], theirs[0][:5])  # x, y, screen_x, x_speed, y_speed
    # What is left is what blinks by the frame counter: the coin in the score line and the ? blocks.
    agreement = [(ours[3] == theirs[3]).all(axis=-1).mean() for ours, theirs in zip(retro, nes, strict=True)]
    assert np.mean(agreement) > 0.998
    assert max(agreement) == 1.0


@needs_both
def test_flag(flag_run: list[int]) -> None:
    retro, nes = (record(backend, (1, 1), flag_run, 4) for backend in ("stable-retro", "nes-py"))
    assert len(retro) == len(nes) == len(flag_run)
    assert retro[-1][1:3] == nes[-1][1:3] == (True, True)
    assert max(abs(int(a[0][0]) - int(b[0][0])) for a, b in zip(retro, nes, strict=True)) <= 3


def test_palette_covers_the_console() -> None:
    ours, theirs = zip(*_PAIRS, strict=True)
    assert len(set(ours)) == len(_PAIRS) == 55
    shown = to_fceumm(np.array([ours], dtype=np.uint32))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[0], [list(colour.to_bytes(3, "big")) for colour in theirs])

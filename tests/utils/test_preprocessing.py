"""From screen to view."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mario_world_model.config import ViewConfig
from mario_world_model.utils.environment import MarioEnv
from mario_world_model.utils.preprocessing import HUD_ROWS, View, preprocess, view_shape


@pytest.fixture
def screen() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(224, 240, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [64, 84, 96])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_shape_and_values(screen: np.ndarray, size: int, grey: bool, mask: bool) -> None:
    before = screen.copy()
    seen = preprocess(screen, ViewConfig(size=size, grey=grey, mask_hud=mask))
    np.testing.assert_array_equal(screen, before)
    assert seen.shape == (size, size, 1 if grey else 3)
    assert seen.dtype == np.uint8
    plain = cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)[..., None] if grey else screen
    area = cv2.resize(plain, (size, size), interpolation=cv2.INTER_AREA).reshape(seen.shape)
    below = -(-HUD_ROWS * size // 224) if mask else 0
    # At 64 and 96 no mean of an area lies between two levels; at 84 one in 160 does, and either will do.
    np.testing.assert_allclose(seen[below:].astype(int), area[below:], rtol=0, atol=size == 84)
    assert not seen[:below].any()


@pytest.mark.parametrize("size", [8, 64, 84, 100])
def test_score_line_leaves_no_trace(screen: np.ndarray, size: int) -> None:
    other = screen.copy()
    other[:HUD_ROWS] = 255 - other[:HUD_ROWS]
    view = ViewConfig(size=size)
    np.testing.assert_array_equal(preprocess(screen, view), preprocess(other, view))
    assert preprocess(screen, view)[-size // 2 :].any()


@pytest.mark.usefixtures("rom")
def test_score_line_ends_where_the_mask_does() -> None:
    env = MarioEnv((1, 1))
    screen, _ = env.reset()
    env.close()
    sky = screen[HUD_ROWS, 200]
    text = [row for row in range(40) if (screen[row] != sky).any()]
    assert min(text) == 8
    assert max(text) == HUD_ROWS - 1


def test_stack_is_oldest_first(screen: np.ndarray) -> None:
    config = ViewConfig(size=32, grey=True, stack=3)
    view = View(config)
    assert view_shape(config) == (32, 32, 3)
    screens = [np.full_like(screen, level) for level in (10, 20, 30, 40)]
    levels = [view.reset(screens[0])[-1, -1].tolist()]
    levels += [view.observe(later)[-1, -1].tolist() for later in screens[1:]]
    assert levels == [[10, 10, 10], [10, 10, 20], [10, 20, 30], [20, 30, 40]]
    assert view.reset(screens[3])[-1, -1].tolist() == [40, 40, 40]

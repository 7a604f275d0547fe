"""Means over areas."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from mario_world_model.utils.area_resize import area_resize


@pytest.mark.parametrize("size", [1, 8, 61, 64, 84, 200, 224])
def test_it_is_opencv_up_to_where_a_half_is_rounded_to(size: int) -> None:
    picture = np.random.default_rng(size).integers(256, size=(224, 240, 3), dtype=np.uint8)
    expected = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    found = area_resize(picture, size)
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 0.03


def test_what_v_sees_is_opencv_to_the_byte() -> None:
    for seed in range(20):
        picture = np.random.default_rng(seed).integers(256, size=(224, 240, 3), dtype=np.uint8)
        expected = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(area_resize(picture, 64), expected)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_one_colour_stays_that_colour(level: int) -> None:
    picture = np.full((224, 240, 1), level, np.uint8)
    assert (area_resize(picture, 64) == level).all()
    assert (area_resize(picture, 61) == level).all()


def test_a_mean_is_that_of_what_a_pixel_covers() -> None:
    picture = np.arange(5 * 5, dtype=np.uint8).reshape(5, 5, 1) * 9
    covered = [(0, Fraction(1)), (1, Fraction(1)), (2, Fraction(1, 2))]
    mean = sum(row * column * int(picture[y, x, 0]) for y, row in covered for x, column in covered) / Fraction(25, 4)
    assert area_resize(picture, 2)[0, 0, 0] == round(mean)

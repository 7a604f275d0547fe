from __future__ import annotations

import numpy as np
import pytest

from mario_world_model.emulation.landmarks import LANDMARKS, enemy_places, landmarks_of
from mario_world_model.emulation.truth import NO_PIT, TRUTH_FIELDS


def row(**values: int) -> np.ndarray:
    found = np.zeros((1, len(TRUTH_FIELDS)), dtype=np.int16)
    for name, value in {"x": 500, "screen_x": 96, "y": 96, "pit_dx": NO_PIT, "alive": 1, **values}.items():
        found[0, TRUTH_FIELDS.index(name)] = value
    return found


def read(**values: int) -> dict[str, float]:
    return dict(zip(LANDMARKS, landmarks_of(row(**values))[0].tolist(), strict=True))


def enemy(slot: int, x: int, y: int = 159, kind: int = 6) -> dict[str, int]:
    return {f"enemy{slot}_{what}": value for what, value in (("active", 1), ("type", kind), ("x", x), ("y", y))}


def test_places_are_in_tiles() -> None:
    here = read(screen_x=112, y=64, status=1)
    assert (here["screen_x"], here["y"], here["tall"]) == (1.0, -2.0, 1.0)


def test_a_fallen_mario_is_below_the_picture_and_not_at_its_top() -> None:
    assert read(y=250, alive=0)["y"] == pytest.approx(-6 / 16 - 6)
    assert read(y=250, alive=1)["y"] == pytest.approx(250 / 16 - 6)
    assert read(y=100, alive=0)["y"] == pytest.approx(100 / 16 - 6)


def test_mario_is_where_the_picture_shows_him_a_frame_before_the_ram() -> None:
    """Down is positive for speeds, up for heights: rising at 5 he was lower in the picture, falling at 4 higher."""
    assert read(y=96, y_speed=-5)["y"] == pytest.approx((96 - 5) / 16 - 6)
    assert read(y=96, y_speed=4)["y"] == pytest.approx((96 + 4) / 16 - 6)


def test_enemies_have_places_on_the_screen_like_mario() -> None:
    truth = row(**enemy(0, 548, y=127), **enemy(2, 500 - 96 - 17), **enemy(3, 520, kind=0x31))
    places = enemy_places(truth)
    assert places.shape == (1, 5, 2)
    np.testing.assert_allclose(places[0, 0], [(96 + 48) / 16 - 6, (255 - 127) / 16 - 6])
    assert np.isnan(places[0, 1:]).all()  # not active, left of the screen, the flag


def test_phases_tell_every_place_of_a_level_from_every_other() -> None:
    phases = [name for name in LANDMARKS if name.startswith(("sin", "cos"))]
    lefts = np.arange(0, 3400, 4)
    rows = np.concatenate([row(x=int(left) + 96) for left in lefts])
    found = landmarks_of(rows)[:, [LANDMARKS.index(name) for name in phases]]
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert apart[~np.eye(len(lefts), dtype=bool)].min() > 0.3


def test_enemies_are_sorted_by_how_near_they_are_on_either_side() -> None:
    found = read(**enemy(0, 580), **enemy(2, 548), **enemy(4, 412), **enemy(1, 500 + 176 + 300))
    assert found["ahead_near"] == pytest.approx(2 * (1 - 48 / 176))
    assert found["next_ahead_near"] == pytest.approx(2 * (1 - 80 / 176))
    assert found["behind_near"] == pytest.approx(2 * (1 - 88 / 176))
    assert found["ahead_above"] == pytest.approx(0.0)
    higher = read(**enemy(2, 548, y=127))
    assert higher["ahead_above"] == pytest.approx(1.0 * higher["ahead_near"])


def test_what_is_not_there_or_harmless_is_zero() -> None:
    gone = enemy(0, 548) | {"enemy0_active": 0}
    for nothing in ({}, gone, enemy(0, 548, kind=0x31), enemy(0, 500 + 400)):
        found = read(**nothing)
        assert [found[name] for name in LANDMARKS if name.endswith(("near", "above"))] == [0.0] * 7


def test_nothing_jumps_when_something_comes_into_sight() -> None:
    assert read(**enemy(0, 500 + 175))["ahead_near"] < 0.02
    assert read(pit_dx=0)["pit_near"] == 2.0
    assert read(pit_dx=175)["pit_near"] < 0.02

"""The recorded truth, on made-up RAM and in the game."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from mario_world_model.config import BackendChoice
from mario_world_model.emulation import ram
from mario_world_model.emulation.truth import NO_PIT, TRUTH_FIELDS, read_truth
from mario_world_model.utils.environment import MarioEnv


@pytest.fixture
def memory() -> defaultdict[int, int]:
    """RAM in which Mario stands at x = 300 on a floor without end."""
    cells: defaultdict[int, int] = defaultdict(int)
    cells.update({0x6D: 1, 0x86: 44, 0xB5: 1, 0x3B8: 176, 0xE: 8, 0x7F8: 3, 0x7F9: 9, 0x7FA: 7})
    cells.update({ram.TILES + page * 0xD0 + 12 * 16 + column: 0x54 for page in (0, 1) for column in range(16)})
    return cells


def truth(memory: defaultdict[int, int]) -> dict[str, int]:
    row = read_truth(memory.__getitem__)
    assert row.dtype == np.int16
    assert row.shape == (len(TRUTH_FIELDS),)
    return dict(zip(TRUTH_FIELDS, row.tolist(), strict=True))


def test_positions_and_clock(memory: defaultdict[int, int]) -> None:
    memory[0x71C] = 200
    found = truth(memory)
    assert (found["x"], found["y"], found["screen_x"], found["time"]) == (300, 79, 100, 397)
    memory[0xB5] = 0
    assert truth(memory)["y"] == 334


def test_speeds_are_signed(memory: defaultdict[int, int]) -> None:
    memory[0x57], memory[0x9F] = 0xD8, 0x04
    assert (truth(memory)["x_speed"], truth(memory)["y_speed"]) == (-40, 4)


@pytest.mark.parametrize(("address", "value"), [(0xE, 0x0B), (0xE, 0x06), (0xB5, 2)])
def test_alive(memory: defaultdict[int, int], address: int, value: int) -> None:
    assert truth(memory)["alive"] == 1
    memory[address] = value
    assert truth(memory)["alive"] == 0


def test_flag_needs_the_pole(memory: defaultdict[int, int]) -> None:
    memory[0x1D] = 3  # also true on a vine
    assert truth(memory)["flag"] == 0
    memory[0x1A] = 0x31
    assert truth(memory)["flag"] == 1


def test_enemies(memory: defaultdict[int, int]) -> None:
    memory.update({0x11: 1, 0x18: 6, 0x70: 12, 0x89: 200, 0xD1: 184})
    found = truth(memory)
    assert [found[f"enemy2_{what}"] for what in ("active", "type", "x", "y")] == [1, 6, 3272, 184]
    assert found["enemy1_active"] == 0


def test_pit(memory: defaultdict[int, int]) -> None:
    assert truth(memory)["pit_dx"] == NO_PIT
    page, place = divmod((308 // 16) + 5, 16)  # five columns on from the one under Mario's middle
    bottom = ram.TILES + (page % 2) * 0xD0 + 12 * 16 + place
    memory[bottom] = 0
    assert truth(memory)["pit_dx"] == (308 // 16 + 5) * 16 - 300
    memory[bottom - 16] = 0x61
    assert truth(memory)["pit_dx"] == NO_PIT  # a floor one row higher is a floor


def test_first_pit_of_1_1(backend: BackendChoice, flag_run: list[int]) -> None:
    # Its columns are 69 and 70: x from 1104 to 1136 (level map of 1-1).
    env = MarioEnv((1, 1), backend=backend, frame_skip=4)
    env.reset()
    seen = set()
    for action in flag_run:
        env.step(action)
        found = dict(zip(TRUTH_FIELDS, env.truth().tolist(), strict=True))
        if found["x"] > 1100:
            break
        if found["pit_dx"] != NO_PIT:
            seen.add(found["x"] + found["pit_dx"])
    env.close()
    assert seen == {1104}

"""The rules, frame by frame, against a second reading of gym-super-mario-bros 7.4.0's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_world_model.config import BackendChoice
from mario_world_model.emulation.actions import RIGHT, B, action_buttons
from mario_world_model.emulation.backends import open_emulator
from mario_world_model.emulation.emulator import Emulator
from mario_world_model.emulation.game import Game

RUN = RIGHT | B


class Reference:
    """One console played by the table, with nothing taken from the project but the console itself."""

    def __init__(self, console: Emulator, single_stage: bool) -> None:
        self.console = console
        self.single_stage = single_stage

    def ram(self, address: int) -> int:
        return self.console.read(address)

    def number(self, address: int, digits: int) -> int:
        return int("".join(str(self.ram(address + place)) for place in range(digits)))

    @property
    def x(self) -> int:
        return self.ram(0x6D) * 0x100 + self.ram(0x86)

    @property
    def time(self) -> int:
        return self.number(0x7F8, 3)

    @property
    def dying(self) -> bool:
        return self.ram(0xE) == 0xB or self.ram(0xB5) > 1

    @property
    def flag(self) -> bool:
        pole = any(self.ram(address) in (0x2D, 0x31) for address in range(0x16, 0x1B)) and self.ram(0x1D) == 3
        return self.ram(0x770) == 2 or pole

    def begin(self) -> None:
        self.x_before, self.time_before = self.x, self.time

    def frame(self, buttons: int) -> tuple[float, bool, dict[str, Any]]:
        self.console.step(buttons)
        moved = self.x - self.x_before
        if abs(moved) > 5:
            moved = 0
        reward = moved + min(0, self.time - self.time_before)
        if self.dying or self.ram(0xE) == 6:
            reward -= 25
        self.begin()
        over = self.dying or self.ram(0xE) == 6 or self.flag
        done = over if self.single_stage else self.ram(0x75A) == 0xFF
        pixel = self.ram(0x3B8)
        info = {
            "coins": self.number(0x7ED, 2),
            "flag_get": self.flag,
            "life": self.ram(0x75A),
            "score": self.number(0x7DE, 6),
            "stage": self.ram(0x75C) + 1,
            "status": {0: "small", 1: "tall"}.get(self.ram(0x756), "fireball"),
            "time": self.time,
            "world": self.ram(0x75F) + 1,
            "x_pos": self.x,
            "y_pos": 255 + (255 - pixel) if self.ram(0xB5) < 1 else 255 - pixel,
        }
        if not done:
            self.skip()
        return max(-15, min(15, reward)), done, info

    def skip(self) -> None:
        if self.dying:
            self.console.write(0xE, 6)
            self.console.step(0)
        if not self.single_stage and self.ram(0x770) == 2:
            time = self.time
            while self.time == time:
                self.console.step(0)
        if 1 < self.ram(0x6DE) < 255:
            self.console.write(0x6DE, 1)
        while self.ram(0xE) in (0, 1, 2, 3, 4, 5, 7) or self.ram(0x770) == 2:
            self.console.write(0x7A0, 0)
            self.console.step(0)


def compare(
    backend: BackendChoice, rom: Path, target: tuple[int, int] | None, buttons: list[int], after: int = 0
) -> dict[str, Any]:
    """Play ``buttons`` on two consoles by the two readings, which must agree at every frame from ``after`` on.

    Returns the last info.
    """
    ours, theirs = open_emulator(backend, rom), open_emulator(backend, rom)
    game, reference = Game(ours, one_life=target is not None), Reference(theirs, target is not None)
    game.start(target)
    for byte in buttons[:after]:
        ours.step(byte)
    game.begin()
    theirs.load_state(ours.save_state())
    reference.begin()
    for frame, byte in enumerate(buttons[after:]):
        reward, done = game.advance(byte)
        info = game.info()
        assert (reward, done, info) == reference.frame(byte), f"frame {frame}"
        if done:
            break
        game.skip()
        assert [ours.read(at) for at in range(0x800)] == [theirs.read(at) for at in range(0x800)], f"frame {frame}"
    ours.close()
    theirs.close()
    return info


def careless(frames: int) -> list[int]:
    """Buttons of a player who mostly runs to the right."""
    rng = np.random.default_rng(0)
    choices = np.array(action_buttons("SIMPLE_MOVEMENT"))[[1, 2, 3, 4, 4, 4, 3, 0, 6]]
    return [int(byte) for byte in rng.choice(choices, size=frames // 8) for _ in range(8)]


@pytest.mark.parametrize("target", [(1, 1), (4, 1), (8, 4)])
def test_stage_by_the_table(backend: BackendChoice, rom: Path, target: tuple[int, int]) -> None:
    info = compare(backend, rom, target, careless(frames=160))
    assert (info["world"], info["stage"]) == target


def test_stage_ends_with_a_life(backend: BackendChoice, rom: Path) -> None:
    info = compare(backend, rom, (1, 1), [RUN] * 300)
    assert info["x_pos"] < 400  # the first goomba
    assert info["life"] == 2


def test_whole_game_goes_on_after_a_death(backend: BackendChoice, rom: Path) -> None:
    info = compare(backend, rom, None, [RUN] * 300, after=60)
    assert info["life"] < 2


def test_whole_game_goes_on_after_the_flag(backend: BackendChoice, rom: Path, flag_run: list[int]) -> None:
    simple = action_buttons("SIMPLE_MOVEMENT")
    buttons = [simple[action] for action in flag_run for _ in range(4)]
    info = compare(backend, rom, None, buttons + [RUN] * 40, after=len(buttons) - 40)
    assert (info["stage"], info["flag_get"]) == (2, False)  # the walk to 1-2 was skipped

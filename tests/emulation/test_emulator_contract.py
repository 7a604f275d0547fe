"""What every backend promises; see `mario_world_model.emulation.emulator.Emulator`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mario_world_model.config import BackendChoice
from mario_world_model.emulation.actions import NOOP, RIGHT, START
from mario_world_model.emulation.backends import installed, open_emulator
from mario_world_model.emulation.emulator import SCREEN_SHAPE, Emulator
from mario_world_model.errors import InputError


def play(console: Emulator, seed: int, frames: int) -> list[bytes]:
    """Random buttons; the picture and RAM after each frame."""
    buttons = np.random.default_rng(seed).integers(256, size=frames)
    trace = []
    for byte in buttons.tolist():
        console.step(byte)
        trace.append(console.screen().tobytes() + bytes(console.read(address) for address in range(0x800)))
    return trace


def test_picture_is_the_callers_own(emulator: Emulator) -> None:
    emulator.step(NOOP)
    screen = emulator.screen()
    assert screen.shape == SCREEN_SHAPE
    assert screen.dtype == np.uint8
    assert screen.flags.writeable
    before = screen.copy()
    play(emulator, 0, 40)
    np.testing.assert_array_equal(screen, before)


def test_ram_reads_back_what_was_written(emulator: Emulator) -> None:
    for address, value in ((0x075A, 7), (0x0000, 255), (0x07FF, 128)):
        emulator.write(address, value)
        read = emulator.read(address)
        assert read == value
        assert type(read) is int


def test_buttons_reach_the_game(emulator: Emulator) -> None:
    for frame in range(400):
        emulator.step(START if frame % 2 else NOOP)
        if emulator.read(0x0770) == 1:  # left the title screen
            break
    else:
        pytest.fail("START did not start the game")


def test_play_from_power_on_repeats(emulator: Emulator, backend: BackendChoice, rom: Path) -> None:
    power_on = emulator.save_state()
    first = play(emulator, 1, 150)
    emulator.load_state(power_on)
    assert play(emulator, 1, 150) == first
    other = open_emulator(backend, rom)
    assert play(other, 1, 150) == first
    other.close()


def test_state_brings_back_picture_ram_and_future(emulator: Emulator, backend: BackendChoice, rom: Path) -> None:
    play(emulator, 2, 60)
    emulator.write(0x075A, 9)
    early = emulator.save_state()
    play(emulator, 3, 30)
    screen, state = emulator.screen(), emulator.save_state()
    future = play(emulator, 4, 60)

    emulator.load_state(early)
    assert emulator.read(0x075A) == 9
    play(emulator, 5, 10)
    emulator.load_state(state)
    np.testing.assert_array_equal(emulator.screen(), screen)
    assert play(emulator, 4, 60) == future

    other = open_emulator(backend, rom)
    other.load_state(state)
    np.testing.assert_array_equal(other.screen(), screen)
    assert play(other, 4, 60) == future
    other.close()


def test_two_consoles_do_not_disturb_each_other(emulator: Emulator, backend: BackendChoice, rom: Path) -> None:
    alone = play(emulator, 6, 40)
    first, second = open_emulator(backend, rom), open_emulator(backend, rom)
    buttons = np.random.default_rng(6).integers(256, size=40).tolist()
    for byte, expected in zip(buttons, alone, strict=True):
        first.step(byte)
        second.step(RIGHT)
        assert first.screen().tobytes() == expected[: np.prod(SCREEN_SHAPE)]
        assert second.read(0x075A) in range(256)
    first.close()
    second.step(RIGHT)  # the survivor goes on
    second.close()


def test_closing_twice_is_harmless_and_use_after_it_is_refused(emulator: Emulator) -> None:
    emulator.close()
    emulator.close()
    with pytest.raises(RuntimeError, match="closed"):
        emulator.step(NOOP)


def test_foreign_state_is_refused_in_one_line(emulator: Emulator) -> None:
    for state in (b"", b"another backend's", emulator.save_state()[:5], emulator.save_state() + b"x"):
        with pytest.raises(InputError, match=r"^state: expected .* found ") as caught:
            emulator.load_state(state)
        assert "\n" not in str(caught.value)


def test_auto_prefers_stable_retro(monkeypatch: pytest.MonkeyPatch, rom: Path) -> None:
    console = open_emulator("auto", rom)
    assert console.name == ("stable-retro" if installed("stable-retro") else "nes-py")
    console.close()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"^backend: expected stable-retro or nes-py to be installed, found no"):
        open_emulator("auto", rom)
    with pytest.raises(InputError, match=r"nes-py==8\.2\.1"):
        open_emulator("nes-py", rom)


def test_unknown_backend_is_refused(rom: Path) -> None:
    with pytest.raises(InputError, match=r"^backend: expected auto, stable-retro or nes-py, found 'mame'$"):
        open_emulator("mame", rom)  # type: ignore[arg-type]

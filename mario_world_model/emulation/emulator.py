"""What the project asks of an NES emulator."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError

SCREEN_SHAPE: Final = (224, 240, 3)
"""Height, width, RGB of the visible picture: 240 rows of 256 less the 8 a television hides on each side."""

Screen = NDArray[np.uint8]
"""One picture, (224, 240, 3), RGB."""


class Emulator(Protocol):
    """A console with one game in it.

    Every backend shows the same picture of the same situation. Their frame counters and the cycles
    at which a frame ends differ, so play of the same buttons drifts apart slowly between backends;
    within a backend it is exactly repeatable.
    """

    name: str
    """Backend, as in `GameConfig.backend`; recorded with every episode."""

    def step(self, buttons: int) -> None:
        """Hold the joypad byte (right 80 … A 01, hex) of `emulation.actions` for one frame, 1/60 s."""

    def read(self, address: int) -> int:
        """Byte of console RAM, 0..255; ``address`` is 0..0x7FF."""

    def write(self, address: int, value: int) -> None:
        """Put ``value``, 0..255, into console RAM at ``address``, 0..0x7FF."""

    def screen(self) -> Screen:
        """Picture of the last frame, (224, 240, 3) uint8 RGB; the array is the caller's own."""

    def save_state(self) -> bytes:
        """Everything needed to go on from here, picture included, in this process or another."""

    def load_state(self, state: bytes) -> None:
        """Go back to where `save_state` was called.

        Raises:
            InputError: ``state`` is not one that this backend saved.
        """

    def close(self) -> None:
        """Free the console; using it afterwards is an error. Closing twice is not."""


def unpack_state(state: bytes, tag: bytes, name: str) -> bytes:
    """The part of a saved state after its tag.

    Raises:
        InputError: the state does not begin with ``tag``.
    """
    if not state.startswith(tag):
        raise InputError(f"state: expected one saved by {name} ({tag!r}), found {state[: len(tag)]!r}")
    return state[len(tag) :]

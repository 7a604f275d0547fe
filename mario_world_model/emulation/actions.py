"""Joypad buttons as bits, and the three action sets of gym-super-mario-bros, in its order."""

from __future__ import annotations

from typing import Final

from mario_world_model.config import ActionSet
from mario_world_model.errors import InputError

RIGHT: Final = 0x80
LEFT: Final = 0x40
DOWN: Final = 0x20
UP: Final = 0x10
START: Final = 0x08
SELECT: Final = 0x04
B: Final = 0x02
A: Final = 0x01
NOOP: Final = 0x00

ACTION_SETS: Final[dict[ActionSet, tuple[int, ...]]] = {
    "RIGHT_ONLY": (NOOP, RIGHT, RIGHT | A, RIGHT | B, RIGHT | A | B),
    "SIMPLE_MOVEMENT": (NOOP, RIGHT, RIGHT | A, RIGHT | B, RIGHT | A | B, A, LEFT),
    "COMPLEX_MOVEMENT": (
        NOOP,
        RIGHT,
        RIGHT | A,
        RIGHT | B,
        RIGHT | A | B,
        A,
        LEFT,
        LEFT | A,
        LEFT | B,
        LEFT | A | B,
        DOWN,
        UP,
    ),
}
"""Button byte of each action; the index is the action an agent gives."""

_NAMES: Final = {
    RIGHT: "right",
    LEFT: "left",
    DOWN: "down",
    UP: "up",
    START: "start",
    SELECT: "select",
    A: "A",
    B: "B",
}


def action_buttons(actions: str) -> tuple[int, ...]:
    """Button bytes of the action set called ``actions``.

    Raises:
        InputError: no action set has that name.
    """
    for name, buttons in ACTION_SETS.items():
        if name == actions:
            return buttons
    raise InputError(f"actions: expected one of {', '.join(ACTION_SETS)}, found {actions!r}")


def button_name(buttons: int) -> str:
    """How a person says a button byte: ``"right + A"``, or ``"noop"`` for none."""
    return " + ".join(name for bit, name in _NAMES.items() if buttons & bit) or "noop"


def action_names(actions: str) -> tuple[str, ...]:
    """Name of each action in a set, for legends and plots.

    Raises:
        InputError: no action set has that name.
    """
    return tuple(button_name(buttons) for buttons in action_buttons(actions))

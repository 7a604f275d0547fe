"""Action sets."""

from __future__ import annotations

import pytest

from mario_world_model.emulation.actions import ACTION_SETS, action_buttons, action_names
from mario_world_model.errors import InputError


def test_sizes_and_order() -> None:
    assert {name: len(buttons) for name, buttons in ACTION_SETS.items()} == {
        "RIGHT_ONLY": 5,
        "SIMPLE_MOVEMENT": 7,
        "COMPLEX_MOVEMENT": 12,
    }
    assert action_buttons("SIMPLE_MOVEMENT") == (0x00, 0x80, 0x81, 0x82, 0x83, 0x01, 0x40)
    assert action_buttons("COMPLEX_MOVEMENT")[7:] == (0x41, 0x42, 0x43, 0x20, 0x10)
    assert action_names("RIGHT_ONLY") == ("noop", "right", "right + A", "right + B", "right + A + B")


def test_unknown_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"^actions: expected one of RIGHT_ONLY, .* found 'FLY'$"):
        action_buttons("FLY")

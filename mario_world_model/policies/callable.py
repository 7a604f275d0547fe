"""Your own Python as an agent, named by its import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import ActionSet, GameConfig
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.policies.policy import Policy

Act = Callable[[NDArray[np.uint8]], int]


class CallablePolicy:
    """A function from a screen uint8 (224, 240, 3) to an action."""

    def __init__(self, act: Act, path: str, actions: int) -> None:
        self._act, self._path, self._actions = act, path, actions

    def reset(self, rng: np.random.Generator) -> None:
        """A function knows no episodes."""

    def act(self, screen: NDArray[np.uint8]) -> int:
        action = int(self._act(screen))
        if not 0 <= action < self._actions:
            raise InputError(f"{self._path}: expected an action from 0 to {self._actions - 1}, found {action}")
        return action


def callable_policy(path: str) -> Policy:
    """The agent behind `package.module:name`: a function, or a class with `reset` and `act` of a `Policy`.

    Raises InputError when there is none.
    """
    found = _find(path)
    if isinstance(found, type):
        found = found()
    if hasattr(found, "act") and hasattr(found, "reset"):
        policy: Policy = found
        return policy
    if not callable(found):
        raise InputError(f"{path}: expected a function or a class with reset and act, found {type(found).__name__}")
    return CallablePolicy(found, path, len(ACTION_SETS[callable_controls(path)[0]]))


def callable_controls(path: str) -> tuple[ActionSet, int]:
    """Action set and frame skip: its attributes `actions` and `frame_skip`, else the defaults."""
    found = _find(path)
    actions, skip = getattr(found, "actions", GameConfig.actions), getattr(found, "frame_skip", GameConfig.frame_skip)
    if actions not in ACTION_SETS or not isinstance(skip, int) or not 1 <= skip <= 60:
        raise InputError(f"{path}: expected an action set and a frame skip of 1 to 60, found {actions!r} and {skip!r}")
    return actions, skip


def _find(path: str) -> Any:
    module, _, name = path.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the folder one is in, as for `python -m`
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:  # the last for .relative:names
        raise InputError(f"{path}: expected module:function, found none ({error})") from error

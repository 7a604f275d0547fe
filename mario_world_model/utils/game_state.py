"""A game that can be put back to where it was, chance and stacked views included."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError
from mario_world_model.utils.environment import MarioEnv
from mario_world_model.utils.preprocessing import Action, Pixels, ViewWrapper

GameState = dict[str, NDArray[np.uint8]]
"""Arrays of bytes: the console's `state`, the `views` stacked so far, and the `luck` that is to come."""


class ResumableGame(gymnasium.Wrapper[Pixels, Action, Pixels, Action]):
    """A game seen through a `ViewWrapper`, with its whole state as arrays of bytes."""

    def __init__(self, env: gymnasium.Env[Pixels, Action]) -> None:
        super().__init__(env)
        assert isinstance(env, ViewWrapper)
        assert isinstance(env.unwrapped, MarioEnv)
        self._view, self._game = env.view, env.unwrapped

    def take_state(self) -> GameState:
        """Where the game is."""
        luck = json.dumps(self._game.np_random.bit_generator.state)
        return {
            "state": np.frombuffer(self._game.save_state(), dtype=np.uint8),
            "views": self._view.frames(),
            "luck": np.frombuffer(luck.encode(), dtype=np.uint8),
        }

    def put_state(self, state: GameState) -> None:
        """Go back there, after a reset; raises InputError when it is not a state of such a game."""
        try:
            luck: dict[str, Any] = json.loads(state["luck"].tobytes())
            self._game.np_random.bit_generator.state = luck
            self._view.put_back(state["views"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"game: expected the state of one with this view, found another ({error})") from error
        self._game.load_state(state["state"].tobytes())

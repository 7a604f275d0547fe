"""Play one episode: the loop that collection, evaluation and fitness in the real game share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_world_model.policies.policy import Policy
from mario_world_model.utils.environment import MarioEnv, Screen
from mario_world_model.utils.preprocessing import Action
from mario_world_model.utils.seeding import stream, stream_seed
from mario_world_model.utils.workers import beat

_GAME_STREAM, _POLICY_STREAM = 0, 1


@dataclass(frozen=True)
class Moment:
    """What there is after a step, or after the reset for the first moment of an episode."""

    screen: NDArray[np.uint8]
    """(224, 240, 3)."""
    truth: NDArray[np.int16]
    """`emulation.truth`."""
    info: dict[str, Any]
    action: int = 0
    """The action that was played to get here; nothing at the first moment."""
    reward: float = 0.0
    terminated: bool = False


def play(
    env: gymnasium.Env[Screen, Action],
    policy: Policy,
    seed: int,
    index: int,
    max_steps: int,
    start: bytes | None = None,
) -> Iterator[Moment]:
    """Yield the moments of episode `index` under `seed`: 1 after the reset, then one a step.

    Ends after the first moment that is terminated, or `max_steps` steps. With `start`, a state that
    `MarioEnv.save_state` gave, it begins there.
    """
    game = env.unwrapped
    assert isinstance(game, MarioEnv)
    screen, info = env.reset(seed=game_seed(seed, index))
    if start is not None:
        screen = game.load_state(start)
    policy.reset(stream(seed, index, _POLICY_STREAM))
    yield Moment(screen, game.truth(), info)
    for _ in range(max_steps):
        beat()
        screen, reward, terminated, _, info = env.step(policy.act(screen))
        yield Moment(screen, game.truth(), info, info["executed_action"], float(reward), terminated)
        if terminated:
            return


def game_seed(seed: int, index: int) -> int:
    """What the game of episode `index` under `seed` is reset with."""
    return stream_seed(seed, index, _GAME_STREAM)

"""Watch an agent play: in a window, or as an MP4."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import GameConfig
from mario_world_model.evaluation.episodes import EpisodeScore, score_episode
from mario_world_model.policies.choice import PolicyChoice, build_policy
from mario_world_model.utils.video import enlarge, write_video
from mario_world_model.utils.window import Window

_FRAMES_PER_SECOND = 60
_SCALE = 2


def record_episode(
    path: Path, game: GameConfig, choice: PolicyChoice, seed: int, index: int, max_steps: int
) -> EpisodeScore:
    """Play one episode and write it as an MP4 at the speed of the game."""
    screens: list[NDArray[np.uint8]] = []
    score = score_episode(game, build_policy(choice, game.actions), seed, index, max_steps, screens.append)
    fps = _FRAMES_PER_SECOND / game.frame_skip
    write_video(path, (enlarge(screen, _SCALE) for screen in screens), fps)
    return score


def show_episode(game: GameConfig, choice: PolicyChoice, seed: int, index: int, max_steps: int) -> bool:
    """Play one episode in a window at the speed of the game; False, at once, where none can be opened."""
    window = Window("Mario World Model")
    pause = game.frame_skip / _FRAMES_PER_SECOND

    def show(screen: NDArray[np.uint8]) -> None:
        begun = time.monotonic()
        window.show(screen)
        if window.blind:
            raise _NoWindowError
        time.sleep(max(0.0, pause - (time.monotonic() - begun)))

    try:
        score_episode(game, build_policy(choice, game.actions), seed, index, max_steps, show)
    except _NoWindowError:
        return False
    finally:
        window.close()
    return True


class _NoWindowError(Exception):
    """There is no display, or the user closed the window."""

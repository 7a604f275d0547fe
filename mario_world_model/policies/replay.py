"""Plays recorded actions again, whatever it sees: what memory without eyes achieves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import ActionSet
from mario_world_model.errors import InputError
from mario_world_model.rollouts.dataset import Dataset


@dataclass(frozen=True)
class Recording:
    """Actions and the controls under which they were played."""

    steps: tuple[int, ...]
    actions: ActionSet
    frame_skip: int


class ReplayPolicy:
    """The steps of a recording in order; when they are used up, the last one for ever."""

    def __init__(self, recording: Recording) -> None:
        self._actions = recording.steps

    def reset(self, rng: np.random.Generator) -> None:
        del rng
        self._step = 0

    def act(self, screen: NDArray[np.uint8]) -> int:
        del screen
        action = self._actions[min(self._step, len(self._actions) - 1)]
        self._step += 1
        return action


def furthest_episode(dataset: Dataset) -> Recording:
    """Of the episodes from the start of the level, the one that got furthest.

    Raises InputError when none began there.
    """
    episodes = [episode for episode in dataset.episodes if episode.info.start == "level"]
    if not episodes:
        raise InputError(f"{dataset.path}: expected an episode from the start of the level, found none")
    best = max(episodes, key=lambda episode: int(episode.column("x").max()))
    controls = dataset.controls
    return Recording(tuple(int(action) for action in best.actions), controls.actions, controls.frame_skip)

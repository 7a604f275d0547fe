"""Where a session begins: a stage, a place in it, a frame of a data set, or a situation M was saved with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mario_world_model.config import ConsoleConfig
from mario_world_model.emulation.stages import STAGES, EnvId
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import WorldModel
from mario_world_model.playground.dreaming import DreamState, recollect, situation
from mario_world_model.playground.reality import Frame, Moment, Reality
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.play import game_seed
from mario_world_model.rollouts.route import ROUTE_STAGE, route

# Real steps that fill the memory before a dream begins; M forgets what is further back.
_WARMUP: Final = 32
_SITUATION = re.compile(r"situation:(\d{1,6})")
_PLACE = re.compile(r"([1-8])-([1-4])(?:@(\d{1,5}))?")
_DATA = re.compile(r"data:(\d{1,7}):(\d{1,5})")


@dataclass
class Beginning:
    """Where a session stands before its first step."""

    dream: DreamState
    reality: Reality | None = None
    """The real game, where there is one: it is missing beside the situations of M, whose frames nobody kept."""
    moment: Moment | None = None
    level: bool = True
    """Whether this is the start of a level."""
    note: str = ""
    """What the page should tell about it."""


class Starts:
    """Finds beginnings by the text that names them: `1-1`, `1-1@1200`, `data:3:40`, `situation:17`."""

    def __init__(self, world_model: WorldModel, console: ConsoleConfig, dataset: Dataset | None) -> None:
        self._world_model = world_model
        self._console = console
        self._dataset = dataset
        self._reality: Reality | None = None

    def begin(self, start: str) -> Beginning:
        """Go to a beginning.

        Raises:
            InputError: there is none of that name, or the game cannot be opened.
        """
        if found := _SITUATION.fullmatch(start):
            count = len(self._world_model.starts)
            if int(found[1]) >= count:
                raise InputError(f"start: expected a situation below {count}, found {found[1]}")
            return Beginning(situation(self._world_model, int(found[1])), level=False)
        if found := _DATA.fullmatch(start):
            return self._at_frame(int(found[1]), int(found[2]))
        if found := _PLACE.fullmatch(start):
            return self._at_place((int(found[1]), int(found[2])), int(found[3] or 0))
        raise InputError(f"start: expected 1-1, 1-1@1200, data:3:40 or situation:17, found {start!r}")

    def close(self) -> None:
        """Free the emulator."""
        if self._reality is not None:
            self._reality.close()
            self._reality = None

    def _open(self, env_id: str, noops: int) -> Reality:
        """The game of a stage; the one that is open already if it is the same."""
        open_now = self._reality
        if open_now is None or (open_now.env_id, open_now.noops) != (env_id, noops):
            self.close()
            self._reality = Reality(self._console, self._world_model.controls, env_id, noops)
        assert self._reality is not None
        return self._reality

    def _at_place(self, stage: tuple[int, int], x: int) -> Beginning:
        if stage not in STAGES:
            raise InputError(f"start: expected a stage from 1-1 to 8-4, found {stage}")
        if x and stage != ROUTE_STAGE:
            raise InputError("start: expected a place in 1-1, the only stage a way through is known of")
        reality = self._open(str(EnvId(stage, "vanilla")), noops=0)
        return self._follow(reality, reality.reset(seed=0), route() if x else (), until=x)

    def _at_frame(self, number: int, step: int) -> Beginning:
        if self._dataset is None:
            raise InputError("start: expected --dataset to begin in one of its frames, found none")
        if number >= len(self._dataset.episodes) or step >= len(self._dataset.episodes[number]):
            raise InputError(f"start: expected a frame of {self._dataset.path}, found episode {number}, step {step}")
        episode = self._dataset.episodes[number]
        info = episode.info
        first = max(0, step - _WARMUP)
        dream = recollect(self._world_model, episode.frames[first : step + 1], episode.actions[first:step])
        if info.start == "level":
            reality = self._open(info.env, info.noops)
            moment = reality.reset(game_seed(info.seed, info.index))
            followed = self._follow(reality, moment, [int(action) for action in episode.actions[:step]])
            found = followed.moment
            if found is not None and np.array_equal(found.frame, episode.frames[step : step + 1][0]):
                return followed
        return Beginning(dream, level=False, note="The game cannot be brought to this frame; the dream begins alone.")

    def _follow(self, reality: Reality, moment: Moment, actions: Iterable[int], until: int | None = None) -> Beginning:
        """Play actions from `moment` on, to their end or until Mario is as far as `until`."""
        frames: list[Frame] = [moment.frame]
        played: list[int] = []
        for action in actions:
            if moment.end is not None or (until is not None and moment.x >= until):
                break
            moment = reality.step(action)
            frames, played = [*frames[-_WARMUP:], moment.frame], [*played[1 - _WARMUP :], action]
        dream = recollect(self._world_model, np.stack(frames), np.array(played, dtype=np.int64))
        return Beginning(dream, reality, moment, level=not played)

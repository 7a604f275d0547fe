"""Episodes in the real game that are only scored: no frames are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import GameConfig
from mario_world_model.emulation.rom import find_rom
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.evaluation.places import place
from mario_world_model.policies.choice import PolicyChoice, build_policy
from mario_world_model.policies.policy import Policy
from mario_world_model.rollouts.play import play
from mario_world_model.rollouts.route import pack_runs
from mario_world_model.utils.environment import make_env
from mario_world_model.utils.executor import Executor

COLUMN = 16
"""Width of a column of a level, pixels."""

_X, _Y, _FLAG = (TRUTH_FIELDS.index(name) for name in ("x", "y", "flag"))


@dataclass(frozen=True)
class EpisodeScore:
    """How one episode went."""

    index: int
    score: float
    """Return: the sum of the environment's rewards."""
    max_x: int
    """Furthest position in pixels; the flag of 1-1 is at about 3,161."""
    flag: bool
    died: bool
    steps: int
    """Agent decisions."""
    frames: int
    """Emulator frames held by these decisions, at most."""
    end: tuple[int, int] = (0, 0)
    """Where Mario was at last: pixels from the start of the level, and y as `emulation.truth` has it."""
    visited: tuple[int, ...] = ()
    """The columns of 16 pixels in which he was after a step, each once, in order of x."""
    played: str = ""
    """The actions that were executed, as `rollouts.route.unpack_runs` reads them: with the seed, the whole episode."""


@dataclass(frozen=True)
class _Task:
    game: GameConfig
    policy: PolicyChoice
    seed: int
    index: int
    max_steps: int
    spread: bool


def evaluate_policy(
    game: GameConfig,
    policy: PolicyChoice,
    indices: Iterable[int],
    seed: int,
    max_steps: int,
    executor: Executor,
    spread: bool = False,
) -> Iterator[EpisodeScore]:
    """Yield the scores of these episodes under `seed`, as they finish.

    With `spread` they begin in the places of `evaluation.places`.
    """
    game = with_rom(game)
    tasks = [_Task(game, policy, seed, index, max_steps, spread) for index in indices]
    for _, score in executor.run(_play_task, tasks):
        yield score


def with_rom(game: GameConfig) -> GameConfig:
    """The same game with its ROM named: it is played where there may be none."""
    return dataclasses.replace(game, rom=find_rom(parse_env_id(game.env).mode, game.rom))


def _play_task(task: _Task) -> EpisodeScore:
    policy = build_policy(task.policy, task.game.actions)
    start = place(task.game, task.index) if task.spread else None
    return score_episode(task.game, policy, task.seed, task.index, task.max_steps, start=start)


def score_episode(
    game: GameConfig,
    policy: Policy,
    seed: int,
    index: int,
    max_steps: int,
    watch: Callable[[NDArray[np.uint8]], None] | None = None,
    start: bytes | None = None,
) -> EpisodeScore:
    """Play and score one episode in this process; `watch` is shown every screen.

    With `start`, a state of `MarioEnv.save_state`, it begins there.
    """
    env = make_env(game)
    total, furthest, steps = 0.0, 0, -1
    columns: set[int] = set()
    played: list[int] = []
    try:
        for moment in play(env, policy, seed, index, max_steps, start):
            if watch is not None:
                watch(moment.screen)
            total += moment.reward
            furthest = max(furthest, int(moment.truth[_X]))
            columns.add(int(moment.truth[_X]) // COLUMN)
            steps += 1
            played.append(moment.action)
    finally:
        env.close()
    flag = moment.terminated and bool(moment.truth[_FLAG])
    return EpisodeScore(
        index=index,
        score=total,
        max_x=furthest,
        flag=flag,
        died=moment.terminated and not flag,
        steps=steps,
        frames=steps * game.frame_skip,
        end=(int(moment.truth[_X]), int(moment.truth[_Y])),
        visited=tuple(sorted(columns)),
        played=pack_runs(played[1:]),  # the first moment is the reset
    )

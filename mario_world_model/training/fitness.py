"""How good controllers are: their mean return in dreams, or in the real game."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import DreamConfig, GameConfig
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.evaluation.episodes import score_episode
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.models.world_model import WorldModel
from mario_world_model.policies.world_model import WorldModelPolicy
from mario_world_model.utils.memory_room import MemoryRoom
from mario_world_model.utils.workers import run_tasks


class Fitness(Protocol):
    """Scores a population; under one seed all of its members meet the same situations and luck."""

    def __call__(self, controllers: Controllers, situations: int, seed: int) -> NDArray[np.float64]:
        """Mean returns (P,) over `situations` dreams or episodes each."""


@dataclass(frozen=True)
class DreamFitness:
    """Mean dreamt return, less what deaths cost; of as many candidates at once as memory has room for."""

    world_model: WorldModel
    config: DreamConfig
    death_cost: float
    room: MemoryRoom = field(default_factory=lambda: MemoryRoom("candidates"))

    def __call__(self, controllers: Controllers, situations: int, seed: int) -> NDArray[np.float64]:
        def returns_of(rows: slice) -> Tensor:
            some = controllers.part(rows)
            dream = Dream(self.world_model, self.config, len(some.bias), situations, weighed=True)
            return dream_returns(dream, some, seed, self.death_cost)

        returns = self.room.fill(len(controllers.bias), returns_of)
        means: NDArray[np.float64] = returns.mean(1).cpu().numpy().astype(np.float64)
        return means


@dataclass(frozen=True)
class RealFitness:
    """Mean return in the real game, candidates spread over emulator processes."""

    game: GameConfig
    vae: Path
    mdnrnn: Path
    max_steps: int
    workers: int

    def __call__(self, controllers: Controllers, situations: int, seed: int) -> NDArray[np.float64]:
        returns = np.empty(len(controllers.bias))
        here = controllers.to(torch.device("cpu"))
        tasks = [_Task(self, here.member(index), situations, seed) for index in range(len(returns))]
        for index, result in run_tasks(_score, tasks, self.workers):
            returns[index] = result
        return returns


@dataclass(frozen=True)
class _Task:
    fitness: RealFitness
    controller: Controllers
    episodes: int
    seed: int


def _score(task: _Task) -> float:
    fitness = task.fitness
    policy = WorldModelPolicy(Agent(_world_model(fitness.vae, fitness.mdnrnn), task.controller))
    scores = [
        score_episode(fitness.game, policy, task.seed, index, fitness.max_steps).score for index in range(task.episodes)
    ]
    return float(np.mean(scores))


@functools.lru_cache(maxsize=1)
def _world_model(vae: Path, mdnrnn: Path) -> WorldModel:
    return load_world_model(vae, mdnrnn)[0]

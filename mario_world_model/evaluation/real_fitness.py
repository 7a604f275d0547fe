"""Fitness of controllers in the real game, candidates spread over emulator processes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import GameConfig
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.evaluation.episodes import score_episode
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.models.world_model import WorldModel
from mario_world_model.policies.world_model import WorldModelPolicy
from mario_world_model.utils.workers import run_tasks


@dataclass(frozen=True)
class RealFitness:
    """Mean real return of a population; all candidates play the same episodes."""

    game: GameConfig
    vae: Path
    mdnrnn: Path
    sampled: bool
    episodes: int
    max_steps: int
    workers: int

    def __call__(self, vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        """Mean returns (P,) of controllers (P, parameters)."""
        returns = np.empty(len(vectors))
        for index, result in run_tasks(_score, [_Task(self, vector, seed) for vector in vectors], self.workers):
            returns[index] = result
        return returns

    check = __call__


@dataclass(frozen=True)
class _Task:
    fitness: RealFitness
    vector: NDArray[np.float64]
    seed: int


def _score(task: _Task) -> float:
    fitness = task.fitness
    world_model = _world_model(fitness.vae, fitness.mdnrnn)
    controllers = Controllers.from_vectors(
        torch.from_numpy(task.vector).float().unsqueeze(0),
        world_model.features,
        len(ACTION_SETS[world_model.controls.actions]),
        fitness.sampled,
    )
    policy = WorldModelPolicy(Agent(world_model, controllers))
    scores = [
        score_episode(fitness.game, policy, task.seed, index, fitness.max_steps).score
        for index in range(fitness.episodes)
    ]
    return float(np.mean(scores))


@functools.lru_cache(maxsize=1)
def _world_model(vae: Path, mdnrnn: Path) -> WorldModel:
    return load_world_model(vae, mdnrnn)[0]

"""How good controllers are: their mean return in dreams, or in the real game."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import DreamConfig, GameConfig, Precision
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.evaluation.episodes import score_episode, with_rom
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.models.world_model import WorldModel
from mario_world_model.policies.world_model import WorldModelPolicy
from mario_world_model.utils.executor import Executor
from mario_world_model.utils.memory_room import MemoryRoom
from mario_world_model.utils.processes import assigned_device


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
        # To bring every candidate features that none of them looks at takes longer than to dream what they share.
        sees, narrowed = controllers.narrowed()

        def returns_of(rows: slice) -> Tensor:
            some = narrowed.part(rows)
            dream = Dream(self.world_model, self.config, len(some.bias), situations, weighed=True, sees=sees)
            return dream_returns(dream, some, seed, self.death_cost)

        returns = self.room.fill(len(controllers.bias), returns_of)
        means: NDArray[np.float64] = returns.mean(1).cpu().numpy().astype(np.float64)
        return means


@dataclass(frozen=True)
class DreamsInParts:
    """A `DreamFitness` whose population is dreamt in parts, each a task of one thread, or of one GPU.

    The luck of a dream is that of its seed, in every part alike. How many dreams are computed together decides in which
    order products of matrices are added up: `parts` is therefore a number of its own, and not that of workers or nodes,
    which changes nothing.
    """

    vae: Path
    mdnrnn: Path
    config: DreamConfig
    death_cost: float
    parts: int
    executor: Executor
    precision: Precision = "float32"
    begins: Tensor | None = None
    """Situations of the world model in which dreams begin, int64 (N',); None: all."""

    def __call__(self, controllers: Controllers, situations: int, seed: int) -> NDArray[np.float64]:
        here = controllers.to(torch.device("cpu"))
        cuts = np.linspace(0, len(here.bias), min(self.parts, len(here.bias)) + 1).astype(int).tolist()
        tasks = [
            _Dreams(
                self.vae,
                self.mdnrnn,
                self.precision,
                self.begins,
                self.config,
                self.death_cost,
                here.part(slice(*rows)),
                situations,
                seed,
            )
            for rows in itertools.pairwise(cuts)
        ]
        returns = dict(self.executor.run(_dream, tasks))
        return np.concatenate([returns[index] for index in range(len(tasks))])


@dataclass(frozen=True)
class _Dreams:
    """Part of a population and what it dreams in."""

    vae: Path
    mdnrnn: Path
    precision: Precision
    begins: Tensor | None
    config: DreamConfig
    death_cost: float
    controllers: Controllers
    situations: int
    seed: int


def _dream(task: _Dreams) -> NDArray[np.float64]:
    """Runs in a worker process, on its device."""
    device = torch.device(assigned_device())
    world_model = _world_model(task.vae, task.mdnrnn, device, task.precision)
    if task.begins is not None:
        world_model = world_model.beginning_in(task.begins.to(device))
    fitness = DreamFitness(world_model, task.config, task.death_cost)
    return fitness(task.controllers.to(device), task.situations, task.seed)


@dataclass(frozen=True)
class RealFitness:
    """Mean return in the real game, every episode of every candidate a task."""

    game: GameConfig
    vae: Path
    mdnrnn: Path
    max_steps: int
    executor: Executor

    def __call__(self, controllers: Controllers, situations: int, seed: int) -> NDArray[np.float64]:
        here = controllers.to(torch.device("cpu"))
        game, candidates = with_rom(self.game), len(here.bias)
        tasks = [
            _Episode(game, self.vae, self.mdnrnn, here.member(candidate), seed, index, self.max_steps)
            for candidate in range(candidates)
            for index in range(situations)
        ]
        scores = np.empty(len(tasks))
        for number, score in self.executor.run(_score, tasks):
            scores[number] = score
        return np.array([float(np.mean(own)) for own in scores.reshape(candidates, situations)])


@dataclass(frozen=True)
class _Episode:
    """One candidate in one episode."""

    game: GameConfig
    vae: Path
    mdnrnn: Path
    controller: Controllers
    seed: int
    index: int
    max_steps: int


def _score(task: _Episode) -> float:
    """Runs in a worker process."""
    policy = WorldModelPolicy(Agent(_world_model(task.vae, task.mdnrnn, torch.device("cpu")), task.controller))
    return score_episode(task.game, policy, task.seed, task.index, task.max_steps).score


@functools.lru_cache(maxsize=1)
def _world_model(vae: Path, mdnrnn: Path, device: torch.device, precision: Precision = "float32") -> WorldModel:
    return load_world_model(vae, mdnrnn)[0].to(device).multiplying_in(precision)

"""Evolve the controller, C, with CMA-ES inside the dream.

    python -m mario_world_model.training.train_controller --vae checkpoints/vae_mario.pt \
        --mdnrnn checkpoints/mdn_rnn_mario.pt --iterations 200 --population-size 64 \
        --output checkpoints/controller_mario.pt

Scored in the real game instead of the dream:

    python -m mario_world_model.training.train_controller --fitness real
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

with warnings.catch_warnings():
    # pycma mentions at import that matplotlib, which it draws with, is missing.
    warnings.simplefilter("ignore")
    import cma

from mario_world_model.checkpoints import load_controller, load_world_model, save_controller
from mario_world_model.command import run_command
from mario_world_model.config import TrainControllerConfig, to_plain
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.evaluation.real_fitness import RealFitness
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.world_model import WorldModel
from mario_world_model.training.budget import Budget
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.seeding import stream_seed
from mario_world_model.utils.tracking import Tracker, save_config

_CMA_STREAM, _FITNESS_STREAM, _CHECK_STREAM = 30, 31, 32
# Above this the full covariance costs more than it finds within the generations there are.
_LARGEST_FULL_COVARIANCE = 1000
_CHECK_EVERY = 10  # generations between looks at the distribution's mean on unseen luck
_CHECK_STARTS = 128


@dataclass(frozen=True)
class ControllerFigures:
    """Fitness of the controller that was written."""

    fitness: float
    """Mean return on luck that evolution did not see."""
    generations: int


def train_controller(config: TrainControllerConfig) -> ControllerFigures:
    """Evolve C and write its checkpoint.

    Every tenth generation the best candidate and the mean of the distribution meet the same unseen
    luck; the best of all that met it is written, at once.
    """
    device = choose_device(config.device)
    world_model, fingerprint = load_world_model(config.vae, config.mdnrnn)
    world_model = world_model.to(device)
    actions = len(ACTION_SETS[world_model.controls.actions])
    count = parameter_count(world_model.features, actions)
    start = np.zeros(count)
    if config.init is not None:
        start = load_controller(config.init, world_model, None).to_vectors()[0].numpy().astype(np.float64)
    score = _real_fitness(config, world_model) if config.fitness == "real" else _DreamFitness(config, world_model)
    save_config(config.output, config)
    evolution = cma.CMAEvolutionStrategy(start, config.sigma, _options(config, count))
    budget = Budget(config.iterations, config.max_minutes)
    best, generation = -np.inf, 0
    with (
        Tracker(config.logs, "controller", config) as tracker,
        tqdm(total=config.iterations, unit="generation", disable=None, desc="controller") as bar,
    ):
        while budget.progress(generation) < 1.0:
            candidates = evolution.ask()
            returns = score(np.stack(candidates), stream_seed(config.seed, _FITNESS_STREAM, generation))
            evolution.tell(candidates, list(-returns))
            generation += 1
            bar.update()
            tracker.scalars(
                generation,
                fitness__mean=returns.mean(),
                fitness__best=returns.max(),
                fitness__worst=returns.min(),
                sigma=evolution.sigma,
            )
            if generation % _CHECK_EVERY == 0 or generation == 1 or budget.progress(generation) >= 1.0:
                finalists = np.stack([evolution.mean, candidates[int(returns.argmax())]])
                checked = score.check(finalists, stream_seed(config.seed, _CHECK_STREAM))
                tracker.scalars(generation, check__mean=checked[0], check__best=checked[1])
                if checked.max() > best:
                    best = float(checked.max())
                    chosen = torch.from_numpy(finalists[int(checked.argmax())]).float().unsqueeze(0)
                    controller = Controllers.from_vectors(chosen, world_model.features, actions, config.sampled)
                    provenance = {
                        "settings": to_plain(config),
                        "generation": generation,
                        "fitness": best,
                    }
                    save_controller(config.output, Agent(world_model, controller), fingerprint, provenance)
                bar.set_postfix(fitness=f"{returns.mean():.1f}", best=f"{best:.1f}")
    return ControllerFigures(best, generation)


class _DreamFitness:
    """Mean dreamt return of a population."""

    def __init__(self, config: TrainControllerConfig, world_model: WorldModel) -> None:
        self._world_model = world_model
        self._config = config
        self._actions = len(ACTION_SETS[world_model.controls.actions])

    def __call__(self, vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        return self._returns(vectors, self._config.starts_per_candidate, seed)

    def check(self, vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        return self._returns(vectors, _CHECK_STARTS, seed)

    def _returns(self, vectors: NDArray[np.float64], starts: int, seed: int) -> NDArray[np.float64]:
        population = torch.from_numpy(vectors).float().to(self._world_model.device)
        controllers = Controllers.from_vectors(
            population, self._world_model.features, self._actions, self._config.sampled
        )
        dream = Dream(self._world_model, self._config.dream, len(vectors), starts, weighed=True)
        return dream_returns(dream, controllers, seed).mean(dim=1).cpu().numpy().astype(np.float64)


def _real_fitness(config: TrainControllerConfig, world_model: WorldModel) -> RealFitness:
    controls = world_model.controls
    return RealFitness(
        game=config.game.with_controls(controls.actions, controls.frame_skip),
        vae=config.vae,
        mdnrnn=config.mdnrnn,
        sampled=config.sampled,
        episodes=config.starts_per_candidate,
        max_steps=config.max_steps,
        workers=config.workers,
    )


def _options(config: TrainControllerConfig, count: int) -> dict[str, object]:
    return {
        "popsize": config.population_size,
        "seed": 1 + stream_seed(config.seed, _CMA_STREAM),  # 0 would mean the clock
        "CMA_diagonal": count > _LARGEST_FULL_COVARIANCE,
        "verbose": -9,
        "verb_log": 0,
        # The budget ends the run, not pycma's own criteria.
        "tolfun": 0,
        "tolfunhist": 0,
        "tolx": 0,
        "tolstagnation": 10**9,
        "tolflatfitness": 10**9,
        "maxiter": 10**9,
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(TrainControllerConfig, _report, "mario-world-model train-controller", arguments)


def _report(config: TrainControllerConfig) -> None:
    figures = train_controller(config)
    place = "dreamt" if config.fitness == "dream" else "real"
    print(f"{config.output}: {figures.generations} generations, mean {place} return {figures.fitness:.1f}")


if __name__ == "__main__":
    sys.exit(main())

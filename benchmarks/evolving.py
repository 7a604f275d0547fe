"""CMA-ES: how much of a generation it takes beside the dream."""

from __future__ import annotations

import statistics
import time

import cma
import numpy as np

from benchmarks.bench import Bench
from benchmarks.dreaming import shipped_agent
from benchmarks.figures import Figure
from mario_world_model.config import TrainControllerConfig
from mario_world_model.training.fitness import DreamFitness
from mario_world_model.training.train_controller import _options, _SearchSpace

_PARAMETERS = 3_500


def measure_evolving(bench: Bench) -> None:
    """Of controllers of all of `[z, h]`, with hidden units so that there are about 3,500 numbers."""
    agent, config = shipped_agent(), TrainControllerConfig()
    world = agent.world_model
    units = round(_PARAMETERS / (world.features + 1 + world.mdn_rnn.actions))
    search = _SearchSpace(world, config.logit_bound, "zh", units)
    evolution = cma.CMAEvolutionStrategy(search.begin(1), config.sigma, _options(config, search.size))
    fitness = DreamFitness(world, config.dream, config.death_cost)
    shares, outside = [], []
    for generation in range(bench.repeats + 1):
        begun = time.perf_counter()
        candidates = evolution.ask()
        controllers = search.controllers(candidates)
        asked = time.perf_counter()
        returns = fitness(controllers, config.starts_per_candidate, generation)
        dreamt = time.perf_counter()
        evolution.tell(candidates, list(-returns.astype(np.float64)))
        ended = time.perf_counter()
        outside.append(ended - dreamt + asked - begun)
        shares.append(outside[-1] / (ended - begun))
    measured = f"{1e3 * statistics.median(outside[1:]):.0f} ms a generation, {search.size:,} parameters"
    share = 100.0 * statistics.median(shares[1:])
    what = "share of a generation not spent in the dream"
    bench.found(Figure("CMA-ES", what, share, "%", 10.0, at_least=False, measured=measured))

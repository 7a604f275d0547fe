"""Evolve the controller, C, with CMA-ES inside the dream.

    python -m mario_world_model.training.train_controller --vae checkpoints/vae_mario.pt \
        --mdnrnn checkpoints/mdn_rnn_mario.pt --iterations 200 --population-size 64 \
        --output checkpoints/controller_mario.pt

Scored in the real game instead of the dream:

    python -m mario_world_model.training.train_controller --fitness real

On the nodes of the Ray cluster that this machine is part of:

    python -m mario_world_model.training.train_controller --dream-parts 8 --cluster auto
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

with warnings.catch_warnings():
    # pycma mentions at import that matplotlib, which it draws with, is missing.
    warnings.simplefilter("ignore")
    import cma

from mario_world_model.checkpoints import load_controller, load_world_model, save_controllers
from mario_world_model.command import run_command
from mario_world_model.config import Precision, TrainControllerConfig, to_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.errors import InputError
from mario_world_model.models.controller import Controllers, FeatureScaling, Layer, first_vector, parameter_count
from mario_world_model.models.precision import precision_on
from mario_world_model.models.world_model import WorldModel
from mario_world_model.training.budget import Budget
from mario_world_model.training.danger import dangerous_starts
from mario_world_model.training.evolution import History
from mario_world_model.training.fitness import DreamFitness, DreamsInParts, Fitness, RealFitness
from mario_world_model.training.resume import Run
from mario_world_model.utils.devices import CPU, choose_device, gpus_here
from mario_world_model.utils.executor import Executor, open_executor
from mario_world_model.utils.progress import progress
from mario_world_model.utils.seeding import stream_seed
from mario_world_model.utils.signals import stop_between_steps
from mario_world_model.utils.workers import worker_count

Seen = Literal["zh", "z", "landmarks"]
Point = TypeVar("Point")

_CMA_STREAM, _FITNESS_STREAM, _CHECK_STREAM, _FIRST_STREAM, _FITTEST_STREAM, _DANGER_STREAM = 30, 31, 32, 33, 34, 35
# Above this the full covariance costs more than it finds within the generations there are.
_LARGEST_FULL_COVARIANCE = 1000
_CHECK_EVERY = 10  # generations between looks at the distribution's mean on unseen luck
PATH_POINTS = 24
"""Of an evolution's path that are kept."""
_FITTEST_DREAMS = 512
_CHECK_DREAMS = 512  # with fewer, which of hundreds of looks is the best is luck


@dataclass(frozen=True)
class ControllerFigures:
    """Fitness of the controller that was written."""

    fitness: float
    """Mean return on luck that evolution did not see."""
    generations: int


def train_controller(config: TrainControllerConfig) -> ControllerFigures:
    """Evolve C and write its checkpoint; goes on where an interrupted evolution stopped.

    Every tenth generation the best candidate and the mean of the distribution meet the same unseen
    luck; the best of all that met it is written, at once.
    """
    world_model, fingerprint = _dreamt_in(config)
    inputs = {"vae": config.vae, "mdnrnn": config.mdnrnn, "init": config.init}
    gpus = int(config.fitness == "dream" and config.dream_on == "gpus")
    with (
        Run("controller", config, inputs) as run,
        open_executor(config.cluster, config.workers, gpus=gpus) as executor,
    ):
        return run.finished(ControllerFigures) or _evolve(config, world_model, fingerprint, run, executor)


def _dreamt_in(config: TrainControllerConfig) -> tuple[WorldModel, str]:
    """The world model of a configuration, on its device and in its precision, and M's fingerprint."""
    world_model, fingerprint = load_world_model(config.vae, config.mdnrnn)
    device = choose_device(config.device)
    return world_model.to(device).multiplying_in(_precision(config, device)), fingerprint


def _precision(config: TrainControllerConfig, device: torch.device) -> Precision:
    # Decided here for all who dream, so that which of them dreams what changes nothing.
    return precision_on(torch.device("cuda") if config.dream_on == "gpus" else device, config.precision)


def _evolve(
    config: TrainControllerConfig, world_model: WorldModel, fingerprint: str, run: Run, executor: Executor
) -> ControllerFigures:
    device = world_model.device
    search = _SearchSpace(world_model, config.logit_bound, config.sees, config.units)
    start = search.begin(stream_seed(config.seed, _FIRST_STREAM))
    begins = torch.arange(len(world_model.starts), device=device)
    if config.init is not None:
        first = load_controller(config.init, world_model, None).to(device)
        if first.units != config.units:
            raise InputError(f"{config.init}: expected a controller of {config.units} units, found {first.units}")
        start = search.vector(first)
        # Dreams that all begin where an episode does have nowhere else to begin.
        if config.fitness == "dream" and config.begin_in_danger and config.dream.level_starts < 1.0:
            begins = dangerous_starts(world_model, config.dream, first, stream_seed(config.seed, _DANGER_STREAM))
    fitness, check_situations = _fitness(config, world_model, begins, executor)
    evolution = cma.CMAEvolutionStrategy(start, config.sigma, _options(config, search.size))
    at = run.restore({"best": 0.0, "seconds": 0.0})
    best: float = at.get("best", -np.inf)
    history = History.of(run.arrays)
    path = [start, *history.replay(evolution, _CHECK_EVERY, run.file)]
    generation = len(history)
    budget = Budget(config.iterations, config.max_minutes, at.get("seconds", 0.0))
    with (
        run.tracker("controller") as tracker,
        progress("controller", config.iterations, "generation", done=generation) as bar,
        stop_between_steps(),
    ):
        while budget.progress(generation) < 1.0:
            candidates = evolution.ask()
            luck = stream_seed(config.seed, _FITNESS_STREAM, generation)
            returns = fitness(search.controllers(candidates), config.starts_per_candidate, luck)
            if not np.isfinite(returns).all():
                raise InputError(
                    f"controller: generation {generation}: expected finite returns, found {returns.min()} "
                    f"for candidate {int(returns.argmin())}"
                )
            history.tell(evolution, candidates, returns)
            generation += 1
            bar.update()
            tracker.scalars(
                generation,
                train__return_mean=returns.mean(),
                train__return_best=returns.max(),
                train__return_worst=returns.min(),
                train__sigma=evolution.sigma,
                cost__seconds=run.seconds,
            )
            if generation % _CHECK_EVERY == 0 or budget.progress(generation) >= 1.0:
                finalists = search.controllers([evolution.mean, candidates[int(returns.argmax())]])
                checked = fitness(finalists, check_situations, stream_seed(config.seed, _CHECK_STREAM))
                tracker.scalars(generation, held_out__return_mean=checked[0], held_out__return_best=checked[1])
                if checked.max() > best:
                    best = float(checked.max())
                    chosen = finalists.member(int(checked.argmax()))
                    provenance = {"settings": to_plain(config), "generation": generation, "fitness": best}
                    save_controllers(config.output, chosen, world_model, fingerprint, provenance)
                path.append(evolution.mean)
                bar.set_postfix(fitness=f"{returns.mean():.1f}", best=f"{best:.1f}")
            run.reached(generation, {"best": best, "seconds": budget.spent}, history.arrays(evolution))
    save_controllers(
        path_file(config.output),
        search.controllers(thinned(path)),
        world_model,
        fingerprint,
        {"generations": generation},
    )
    figures = ControllerFigures(best, generation)
    run.finish(figures, _parallel(config), config.init)
    return figures


def _parallel(config: TrainControllerConfig) -> int | None:
    """Threads or processes at work; on a cluster nobody counts them."""
    if config.cluster:
        return None
    if config.dream_on == "gpus":
        return max(torch.get_num_threads(), min(len(gpus_here()), config.workers or config.dream_parts))
    apart = config.fitness == "real" or config.dream_parts > 1
    return max(torch.get_num_threads(), worker_count(config.workers) if apart else 1)


def fittest(controllers: Sequence[Path], config: TrainControllerConfig) -> Path:
    """Which of some controllers dreams best in the world model of a configuration, all under the same luck."""
    world_model, _ = _dreamt_in(config)
    fitness = DreamFitness(world_model, config.dream, config.death_cost)
    luck = stream_seed(config.seed, _FITTEST_STREAM)
    known = [load_controller(path, world_model, None).to(world_model.device) for path in controllers]
    returns = [float(fitness(one, _FITTEST_DREAMS, luck)[0]) for one in known]
    return controllers[int(np.argmax(returns))]


def path_file(controller: Path) -> Path:
    """Where the means of an evolution are kept, from its first to its last: controllers of all strengths."""
    return controller.with_name(f"{controller.stem}.path{controller.suffix}")


def thinned(path: Sequence[Point]) -> list[Point]:
    """At most `PATH_POINTS` of the points of a path, its ends among them."""
    return [path[number] for number in np.linspace(0, len(path) - 1, min(len(path), PATH_POINTS)).astype(int)]


class _SearchSpace:
    """Between the vectors that CMA-ES moves and controllers of `[z, h]`, whose weights on what is not seen stay 0."""

    def __init__(self, world_model: WorldModel, bound: float, sees: Seen, units: int) -> None:
        self._all = world_model.features
        self._seen = _seen_features(world_model, sees)
        self._features = len(self._seen)
        self._units = units
        self._actions = len(ACTION_SETS[world_model.controls.actions])
        self._device = world_model.device
        self._bound = bound
        with torch.no_grad():
            latents, memory = world_model.recall(world_model.starts)
        self._scaling = FeatureScaling.of(world_model.features_of(latents, memory.hidden)[:, self._seen])
        self.size = parameter_count(self._features, self._actions, units)

    def begin(self, seed: int) -> NDArray[np.float64]:
        return first_vector(self._features, self._actions, self._units, seed).double().numpy()

    def controllers(self, vectors: Sequence[NDArray[np.float64]]) -> Controllers:
        population = torch.from_numpy(np.stack(vectors)).float().to(self._device)
        scaled = Controllers.from_vectors(population, self._features, self._actions, self._bound, self._units)
        raw = scaled.after(self._scaling)
        weight = raw.first.weight.new_zeros(*raw.first.weight.shape[:2], self._all)
        weight[..., self._seen] = raw.first.weight
        return raw.with_first(Layer(weight, raw.first.bias))

    def vector(self, controller: Controllers) -> NDArray[np.float64]:
        first = controller.first
        seen = controller.with_first(Layer(first.weight[..., self._seen], first.bias))
        vector: NDArray[np.float32] = seen.before(self._scaling).to_vectors()[0].cpu().numpy()
        return vector.astype(np.float64)


def _seen_features(world_model: WorldModel, sees: Seen) -> Tensor:
    """Which of the features [z, h] a controller is given, int64 (F,)."""
    network = world_model.mdn_rnn
    every = torch.arange(world_model.features, device=world_model.device)
    if sees != "landmarks":
        return every if sees == "zh" else every[: network.latent_size]
    if not world_model.vae.config.landmarks:
        raise InputError("sees: expected a VAE that was taught landmarks, found one that learned from pictures alone")
    known = len(LANDMARKS)
    # Behind the LSTM's units are what the latent changed by and the action (`MDNRNN.hidden_size`), if anything.
    extra = every[network.latent_size + network.config.hidden_size :]
    return torch.cat([every[:known], extra[:known], extra[network.latent_size :]])


def _fitness(
    config: TrainControllerConfig, world_model: WorldModel, begins: Tensor, executor: Executor
) -> tuple[Fitness, int]:
    """The fitness that a configuration asks for, in dreams that begin in situations int64 (N',) of the world model, and
    the situations that finalists meet."""
    if config.fitness == "dream":
        if config.dream_parts == 1:
            return DreamFitness(world_model.beginning_in(begins), config.dream, config.death_cost), _CHECK_DREAMS
        parts = DreamsInParts(
            config.vae,
            config.mdnrnn,
            config.dream,
            config.death_cost,
            config.dream_parts,
            executor,
            _precision(config, world_model.device),
            begins.to(CPU),
        )
        return parts, _CHECK_DREAMS
    controls = world_model.controls
    game = config.game.with_controls(controls.actions, controls.frame_skip)
    real = RealFitness(game, config.vae, config.mdnrnn, config.max_steps, executor)
    return real, config.starts_per_candidate


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

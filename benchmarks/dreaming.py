"""Dreams of a population beside one at a time, and what they take of the machine's matrix products."""

from __future__ import annotations

import dataclasses

import torch

from benchmarks.bench import Bench
from benchmarks.ceilings import DREAMS, square_product
from benchmarks.figures import Figure, Work, ratio
from benchmarks.operations import DREAM_FORMULA, dream_step, remembered_step
from benchmarks.paired import Piece, compare
from benchmarks.plain_dream import plain_dream
from mario_world_model import pretrained
from mario_world_model.checkpoints import load_agent
from mario_world_model.config import DreamConfig, RunConfig, TrainControllerConfig
from mario_world_model.dream import Dream
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.precision import precision_on
from mario_world_model.models.world_model import WorldModel
from mario_world_model.training.fitness import DreamFitness
from mario_world_model.training.train_controller import _SearchSpace
from mario_world_model.utils.devices import CPU

_RUN = RunConfig()
_PLAIN_DREAMS = 16  # of the thousands that a generation has: enough for a rate


def shipped_agent() -> Agent:
    """The agent that comes with the package."""
    return load_agent(pretrained.VAE, pretrained.MDN_RNN, pretrained.CONTROLLER)


def population(agent: Agent, count: int, trained: bool) -> Controllers:
    """Candidates as `mario-world-model run` draws them, around where it begins or around a trained agent."""
    search = _SearchSpace(agent.world_model, agent.controller.bound, _RUN.sees, agent.controller.units)
    luck = torch.Generator().manual_seed(0)
    centre = torch.from_numpy(search.vector(agent.controller) if trained else search.begin(0))
    noise = _RUN.sigma * torch.randn(count, search.size, generator=luck)
    return search.controllers(list((centre + noise).double().numpy()))


def measure_dreaming(bench: Bench) -> None:
    agent, config = shipped_agent(), DreamConfig()
    world, starts = agent.world_model, _RUN.starts_per_candidate
    for trained, name in ((False, "an evolution's first"), (True, "a trained agent's next")):
        candidates = population(agent, _RUN.population_size, trained)
        both = compare(
            generation(world, config, candidates, starts), _one_by_one(agent, candidates, config), bench.repeats
        )
        what = f"dreamt steps/s, one candidate at a time ({name} generation, {_RUN.population_size} × {starts})"
        figure = ratio("dream", what, both, "steps", 200.0)
        dream = Dream(world, config, _RUN.population_size, starts, weighed=True)
        differ = f"{figure.measured}; {_differing(dream, candidates):.0%} of the dreams differ"
        bench.found(dataclasses.replace(figure, measured=differ))

    if precision_on(CPU, "auto") == "bfloat16":
        half = generation(world.multiplying_in("bfloat16"), config, candidates, starts)
        both_bits = compare(half, generation(world, config, candidates, starts), bench.repeats)
        bench.found(ratio("dream", "the same in bfloat16, in float32", both_bits, "steps", 1.5))

    alone = dream_step(world.mdn_rnn, world.mdn_rnn.actions, 1)
    formula = f"{DREAM_FORMULA}, of which there is one"
    bench.works.append(Work("one dream at a time", "step", *alone, both.other, formula))

    # No two of these begin alike, so that none are in common until they are over.
    one = population(agent, 1, trained=True)
    operations, moved = dream_step(world.mdn_rnn, world.mdn_rnn.actions, DREAMS)
    dreamt = config.horizon * _differing(Dream(world, config, 1, DREAMS, weighed=True), one)
    begun = world.starts.actions.shape[1] * remembered_step(world.mdn_rnn)
    score = generation(world, config, one, DREAMS)

    def operations_of_dreams() -> float:
        score()
        return DREAMS * (dreamt * operations + begun)

    share = compare(operations_of_dreams, square_product, bench.repeats)
    measured = f"{share.ours / 1e9:.1f} of {share.other / 1e9:.1f} GFLOP/s, {DREAMS} dreams that have nothing in common"
    what = "share of the machine's matrix product"
    bench.found(Figure("dream", what, 100.0 * share.ratio, "%", 60.0, at_least=True, measured=measured))
    bench.works.append(Work("dream", "step", operations, moved, share.ours / operations, DREAM_FORMULA))


def generation(world: WorldModel, config: DreamConfig, candidates: Controllers, starts: int) -> Piece:
    """A piece of work: a generation as evolution scores it; its units are the steps that its candidates get to see."""
    fitness = DreamFitness(world, config, TrainControllerConfig().death_cost)

    def score() -> float:
        fitness(candidates, starts, 0)
        return float(len(candidates.bias) * starts * config.horizon)

    return score


@torch.no_grad()
def _differing(dream: Dream, candidates: Controllers) -> float:
    """The share of a generation's dreams that differ, mean over its steps."""
    features, _ = dream.reset(0)
    luck, counts = torch.Generator().manual_seed(0), []
    for _ in range(dream.config.horizon):
        gumbel = draw_gumbel((dream.starts, candidates.bias.shape[1]), luck)
        features, *_ = dream.step(candidates.act(features, gumbel))
        counts.append(dream.different)
    return sum(counts) / len(counts) / (dream.candidates * dream.starts)


def _one_by_one(agent: Agent, candidates: Controllers, config: DreamConfig) -> Piece:
    def some() -> float:
        return float(
            sum(
                plain_dream(agent.world_model, config, candidates.member(number), number)[1]
                for number in range(_PLAIN_DREAMS)
            )
        )

    return some

"""Whether what pays in the dream pays in the game, over controllers of all strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from mario_world_model.errors import InputError
from mario_world_model.models.controller import Controllers
from mario_world_model.training.fitness import Fitness
from mario_world_model.training.train_controller import thinned


@dataclass(frozen=True)
class Agreement:
    """Mean returns of N controllers in dreams and in the game."""

    spearman: float | None
    """Rank correlation of the two; None where all controllers score alike in one of them."""
    dreamt: list[float]
    real: list[float]
    opening_dreamt: list[float]
    """From where episodes begin, over as many steps as `opening_real`."""
    opening_real: list[float]

    @property
    def gap(self) -> float:
        """Mean of what the dream promises for the opening beyond what the game gives."""
        return float(np.mean(np.subtract(self.opening_dreamt, self.opening_real)))


def one_path(paths: Sequence[Controllers]) -> Controllers:
    """The paths of evolutions that went on from each other as one, which has no more points than any.

    Raises InputError when those of one path have other units or bounds than the last's.
    """
    last = paths[-1]
    for path in paths:
        if (path.units, path.bound) != (last.units, last.bound):
            raise InputError(
                f"earlier: expected controllers of {last.units} units, bounded by {last.bound:g}, as the last, "
                f"found {path.units} units, bounded by {path.bound:g}"
            )
    chosen = torch.stack(thinned([point for path in paths for point in path.to_vectors()]))
    return Controllers.from_vectors(chosen, last.first.weight.shape[2], last.bias.shape[1], last.bound, last.units)


def with_strangers(path: Controllers, count: int, seed: int) -> Controllers:
    """The controllers of a path, and `count` random ones as large as its last."""
    generator = torch.Generator().manual_seed(seed)
    known = path.to_vectors()
    strange = known[-1].std() * torch.randn((count, known.shape[1]), generator=generator)
    features, actions = path.first.weight.shape[2], path.bias.shape[1]
    return Controllers.from_vectors(torch.cat([known, strange]), features, actions, path.bound, path.units)


def agreement(
    controllers: Controllers,
    dream: Fitness,
    real: Fitness,
    opening_dream: Fitness,
    opening_real: Fitness,
    dreams: int,
    episodes: int,
    seed: int,
) -> Agreement:
    """Score the same controllers in the fitness that evolution maximises and in the game."""

    def mean(fitness: Fitness, situations: int) -> NDArray[np.float64]:
        return fitness(controllers, situations, seed)

    dreamt, played = mean(dream, dreams), mean(real, episodes)
    differ = len(set(dreamt)) > 1 and len(set(played)) > 1
    return Agreement(
        spearman=float(stats.spearmanr(dreamt, played).statistic) if differ else None,
        dreamt=dreamt.tolist(),
        real=played.tolist(),
        opening_dreamt=mean(opening_dream, dreams).tolist(),
        opening_real=mean(opening_real, episodes).tolist(),
    )

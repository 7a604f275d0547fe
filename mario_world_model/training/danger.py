"""Where a controller that is evolved on has something to learn."""

from __future__ import annotations

import torch
from torch import Tensor

from mario_world_model.config import DreamConfig
from mario_world_model.dream import Dream, dream_outcomes
from mario_world_model.models.controller import Controllers
from mario_world_model.models.world_model import WorldModel

_SAFE, _LOST = 0.02, 0.85
_SAFE_FOR_DANGEROUS = 0.5  # safe situations for a dangerous one: what it can do it must not forget
_TRIES = 6  # dreams of a situation
_TOGETHER = 256  # situations that are dreamt together


def dangerous_starts(world_model: WorldModel, config: DreamConfig, controller: Controllers, seed: int) -> Tensor:
    """Of the situations that M keeps those where one controller may die in a dream and Mario need not, and half as many
    where it hardly does, int64 (N',).

    Where nobody can die, or everybody does, all candidates score the same, and their luck is all that tells them apart.
    Where this controller always dies, it has the most to learn, unless no action saves Mario that is held from there
    on. The first frames of episodes stay in any case. Where no situation is dangerous all of them stay.
    """
    starts = world_model.starts
    chance = chances_of_death(world_model, config, controller, torch.arange(len(starts)), seed)[0]
    lost = torch.nonzero(chance >= _LOST).flatten()
    least = chance.clone()
    if len(lost):
        holders = _who_hold(world_model.mdn_rnn.actions, world_model.features).to(chance.device)
        least[lost] = chances_of_death(world_model, config, holders, lost, seed).amin(dim=0)
    first = starts.lengths == 0
    dangerous = ~first & (chance > _SAFE) & (least < _LOST)
    safe = torch.nonzero(~first & (chance <= _SAFE)).flatten()
    if not dangerous.any():
        return torch.arange(len(starts), device=chance.device)
    luck = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(safe), generator=luck)[: round(_SAFE_FOR_DANGEROUS * int(dangerous.sum()))]
    kept = torch.cat([torch.nonzero(first | dangerous).flatten(), safe[drawn.to(safe.device)]])
    return kept.sort().values


def chances_of_death(
    world_model: WorldModel, config: DreamConfig, controllers: Controllers, situations: Tensor, seed: int
) -> Tensor:
    """The chance of each of P controllers of dying within a dream that begins in each of N situations, (P, N).

    These are int64 (N,), numbers of what M keeps.
    """
    count, found = len(controllers.bias), []
    for number, rows in enumerate(situations.to(world_model.device).split(_TOGETHER)):
        some = world_model.starts.of(rows.repeat(_TRIES))
        dream = Dream(world_model, config, count, len(some), weighed=True)
        _, deaths = dream_outcomes(dream, controllers, seed + number, some)
        found.append(deaths.view(count, _TRIES, -1).mean(dim=1))
    return torch.cat(found, dim=1)


def _who_hold(actions: int, features: int) -> Controllers:
    """A controller for each action that plays no other."""
    return Controllers(torch.zeros(actions, actions, features), torch.eye(actions), bound=0.0)

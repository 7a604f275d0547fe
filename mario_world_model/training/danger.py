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
    """Of the situations that M keeps those where one controller sometimes dies in a dream, and half as many where it
    hardly does, int64 (N',).

    Where it always dies, or never, all candidates like it score the same, and their luck is all that tells them apart.
    The first frames of episodes stay in any case. Where no situation is dangerous all of them stay.
    """
    starts = world_model.starts
    chance = chances_of_death(world_model, config, controller, seed)
    first = starts.lengths == 0
    dangerous = ~first & (chance > _SAFE) & (chance < _LOST)
    safe = torch.nonzero(~first & (chance <= _SAFE)).flatten()
    if not dangerous.any():
        return torch.arange(len(starts), device=chance.device)
    luck = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(safe), generator=luck)[: round(_SAFE_FOR_DANGEROUS * int(dangerous.sum()))]
    kept = torch.cat([torch.nonzero(first | dangerous).flatten(), safe[drawn.to(safe.device)]])
    return kept.sort().values


def chances_of_death(world_model: WorldModel, config: DreamConfig, controller: Controllers, seed: int) -> Tensor:
    """One controller's chance of dying within a dream that begins in each of the N situations, (N,)."""
    starts, found = world_model.starts, []
    for number, rows in enumerate(torch.arange(len(starts), device=world_model.device).split(_TOGETHER)):
        some = starts.of(rows.repeat(_TRIES))
        dream = Dream(world_model, config, 1, len(some), weighed=True)
        _, deaths = dream_outcomes(dream, controller, seed + number, some)
        found.append(deaths.view(_TRIES, -1).mean(dim=0))
    return torch.cat(found)

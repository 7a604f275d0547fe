"""Whether Mario dies in the dream as often as in the game, place by place, while the same controller plays both.

This is what evolution can exploit: where the dream lets a controller live that dies there in the game, the next one is
evolved to go there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import DreamConfig
from mario_world_model.dream import Dream, dream_outcomes
from mario_world_model.models.controller import Controllers
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.latents import LatentEpisode
from mario_world_model.rollouts.sequences import situations_of

_WARMUP = 8  # real steps that fill the memory before a dream begins
_APART = 4  # steps between two situations of an episode
_PLACE = 400  # pixels of the level that are looked at together


@dataclass(frozen=True)
class Mortality:
    """Chance to die within a dream's length, over situations of the controller's own episodes at x in [first, last)."""

    first: int
    last: int
    """Pixels from the start of the level."""
    situations: int
    dreamt: float
    real: float


def mortality(
    world_model: WorldModel,
    controller: Controllers,
    episodes: Sequence[Episode],
    latents: Sequence[LatentEpisode],
    config: DreamConfig,
    seed: int,
) -> list[Mortality]:
    """By place, and of all places last; `episodes` are those of this very controller, `latents` their latent form.

    From every fourth step of them a dream of `config.horizon` steps begins in which the controller plays on. The game's
    answer is what became of the episode in as many steps; those after which it was broken off too soon to know are left
    out. Empty where none are left.
    """
    frames, died, places = _situations(episodes, latents, config.horizon)
    if not frames:
        return []
    starts = situations_of(latents, frames, _WARMUP).to(world_model.device)
    dream = Dream(world_model, config, 1, len(frames), weighed=True)
    chances = dream_outcomes(dream, controller, seed, starts)[1][0].clamp(max=1.0).double().cpu().numpy()
    found = []
    for first in range(0, int(places.max()) + 1, _PLACE):
        here = (places >= first) & (places < first + _PLACE)
        if here.any():
            found.append(_mean(first, first + _PLACE, chances[here], died[here]))
    return [*found, _mean(found[0].first, found[-1].last, chances, died)]


def _situations(
    episodes: Sequence[Episode], latents: Sequence[LatentEpisode], horizon: int
) -> tuple[list[tuple[int, int]], NDArray[np.bool_], NDArray[np.int64]]:
    """Frames (episode, step), whether Mario died within `horizon` steps of them, and how far into the level he was."""
    frames, died, places = [], [], []
    for number, (episode, latent) in enumerate(zip(episodes, latents, strict=True)):
        end, x = len(episode), episode.column("x")
        for step in range(0 if latent.from_level else _WARMUP, end, _APART):
            soon = end - step <= horizon
            if soon and not episode.info.terminated:
                break
            frames.append((number, step))
            died.append(soon and episode.died)
            places.append(int(x[step]))
    return frames, np.array(died, dtype=np.bool_), np.array(places, dtype=np.int64)


def _mean(first: int, last: int, dreamt: NDArray[np.float64], died: NDArray[np.bool_]) -> Mortality:
    return Mortality(first, last, len(died), float(dreamt.mean()), float(died.mean()))

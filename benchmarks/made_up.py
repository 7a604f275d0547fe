"""Data of the right shape and of no meaning, for machines without a ROM."""

from __future__ import annotations

import numpy as np
import torch

from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.models.vae import Posterior
from mario_world_model.rollouts.episode import Episode, EpisodeInfo
from mario_world_model.rollouts.latents import LatentEpisode

_STEPS = 149
_ACTIONS = 7

_INFO = EpisodeInfo(
    env="",
    seed=0,
    index=0,
    policy="",
    actions="SIMPLE_MOVEMENT",
    frame_skip=4,
    sticky=0.0,
    noops=0,
    backend="",
    rom_sha1="",
    mask_hud=True,
    terminated=True,
    truncated=False,
    truth_fields=TRUTH_FIELDS,
)


def made_up_episodes(frames: int) -> list[Episode]:
    """Episodes of 150 frames of noise, at least so many frames in all."""
    rng = np.random.default_rng(0)
    return [
        Episode(
            frames=rng.integers(0, 256, (_STEPS + 1, 64, 64, 3), dtype=np.uint8),
            actions=rng.integers(0, _ACTIONS, _STEPS, dtype=np.uint8),
            rewards=rng.normal(size=_STEPS).astype(np.float32),
            truth=rng.integers(0, 200, (_STEPS + 1, len(TRUTH_FIELDS)), dtype=np.int16),
            info=_INFO,
        )
        for _ in range(-(-frames // (_STEPS + 1)))
    ]


def made_up_latents(steps: int, size: int) -> list[LatentEpisode]:
    """Episodes of latents of noise that end in death, at least so many steps in all."""
    luck = torch.Generator().manual_seed(0)
    endings = torch.zeros(_STEPS, 2)
    endings[-1, 0] = 1.0
    return [
        LatentEpisode(
            Posterior(torch.randn(_STEPS + 1, size, generator=luck), torch.full((_STEPS + 1, size), -4.0)),
            torch.randint(_ACTIONS, (_STEPS,), generator=luck),
            torch.randn(_STEPS, generator=luck),
            endings,
        )
        for _ in range(-(-steps // _STEPS))
    ]

"""Small made-up episodes for tests of what is stored and sampled."""

from __future__ import annotations

import dataclasses

import numpy as np

from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, content_hash


def made_up_episode(index: int = 0, steps: int = 6, terminated: bool = True, flag: bool = False) -> Episode:
    """An episode of random content that depends on its index alone."""
    rng = np.random.default_rng(index)
    truth = rng.integers(0, 255, (steps + 1, len(TRUTH_FIELDS))).astype(np.int16)
    truth[:, TRUTH_FIELDS.index("flag")] = 0
    truth[-1, TRUTH_FIELDS.index("flag")] = flag
    arrays = (
        rng.integers(0, 256, (steps + 1, 64, 64, 3), dtype=np.uint8),
        rng.integers(0, 7, steps, dtype=np.uint8),
        rng.normal(size=steps).astype(np.float32),
        truth,
    )
    info = EpisodeInfo(
        env="SuperMarioBros-1-1-v0",
        seed=0,
        index=index,
        policy="uniform",
        actions="SIMPLE_MOVEMENT",
        frame_skip=4,
        sticky=0.25,
        noops=30,
        backend="stable-retro",
        rom_sha1="0" * 40,
        mask_hud=True,
        terminated=terminated,
        truncated=not terminated,
        truth_fields=TRUTH_FIELDS,
        sha256=content_hash(*arrays),
    )
    return Episode(*arrays, info)


def with_info(episode: Episode, **changes: object) -> Episode:
    """The same episode with other fields in its info."""
    return dataclasses.replace(episode, info=dataclasses.replace(episode.info, **changes))

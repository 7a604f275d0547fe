"""What a page has to know before it can offer anything."""

from __future__ import annotations

from typing import Final

import numpy as np

from mario_world_model.emulation.actions import ACTION_SETS, button_name
from mario_world_model.models.world_model import WorldModel
from mario_world_model.playground.messages import Message
from mario_world_model.playground.session import STEPS_BACK
from mario_world_model.rollouts.dataset import Dataset

_MOST_LISTED: Final = 2000


def welcome(world_model: WorldModel, players: list[str], dataset: Dataset | None) -> Message:
    """Names and numbers, in plain values."""
    spread = world_model.starts.latents[:, -1].std(dim=0).numpy()
    return {
        "type": "welcome",
        "actions": [button_name(buttons) for buttons in ACTION_SETS[world_model.controls.actions]],
        "players": players,
        "situations": len(world_model.starts),
        "episodes": [] if dataset is None else [len(episode) for episode in dataset.episodes[:_MOST_LISTED]],
        "steps_back": STEPS_BACK,
        "rate": 60 / world_model.controls.frame_skip,
        # The numbers of the latent, those that differ most between situations first.
        "latent_order": np.argsort(-spread, kind="stable").tolist(),
        "latent_spread": np.round(spread.astype(float), 3).tolist(),
    }

"""Small world models for tests: real networks, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from mario_world_model.checkpoints import save_controllers, save_mdn_rnn, save_vae
from mario_world_model.config import MDNRNNConfig, VAEConfig, ViewConfig
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import VAE
from mario_world_model.models.world_model import Controls, Starts, WorldModel
from mario_world_model.utils.checkpoint import load_checkpoint

ACTIONS = 7


def small_world(
    latent_size: int = 64,
    hidden_size: int = 24,
    joint: bool = True,
    anchor: Literal["gate", "present", "none"] = "gate",
    head_size: int = 20,
    warmup: int = 4,
    ending_heads: int = 0,
) -> WorldModel:
    """A world model with 32 start states, the first eight of them at the beginning of an episode."""
    torch.manual_seed(1)
    lengths = torch.cat([torch.zeros(8, dtype=torch.int64), torch.randint(1, warmup + 1, (24,))])
    return WorldModel(
        vae=VAE(VAEConfig(latent_size=latent_size, architecture="grid", widths=(4, 8, 8))).eval(),
        mdn_rnn=MDNRNN(
            MDNRNNConfig(
                hidden_size=hidden_size,
                mixtures=3,
                joint=joint,
                anchor=anchor,
                head_size=head_size,
                ending_heads=ending_heads,
            ),
            latent_size,
            ACTIONS,
        ).eval(),
        controls=Controls("SIMPLE_MOVEMENT", 4, ViewConfig()),
        starts=Starts(
            latents=torch.randn(32, warmup + 1, latent_size),
            actions=torch.randint(ACTIONS, (32, warmup)),
            lengths=lengths,
        ),
        reward_bounds=(-30.0, 60.0),
    )


def who_prefers(world: WorldModel, action: int) -> Controllers:
    """A controller that plays one action."""
    bias = torch.zeros(1, ACTIONS)
    bias[0, action] = 50.0
    return Controllers(torch.zeros(1, ACTIONS, world.features), bias, bound=8.0)


def save_world(folder: Path, world: WorldModel, prefix: str = "") -> None:
    """V, M and C of a world as <prefix>v.pt, <prefix>m.pt and <prefix>c.pt."""
    save_vae(folder / f"{prefix}v.pt", world.vae, world.controls, {})
    fingerprint = load_checkpoint(folder / f"{prefix}v.pt", "vae").fingerprint
    save_mdn_rnn(folder / f"{prefix}m.pt", world, fingerprint, {})
    controller = Controllers(torch.zeros(1, ACTIONS, world.features), torch.zeros(1, ACTIONS), bound=1.0)
    fingerprint = load_checkpoint(folder / f"{prefix}m.pt", "mdn_rnn").fingerprint
    save_controllers(folder / f"{prefix}c.pt", controller, world, fingerprint, {})

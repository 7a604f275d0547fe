"""What is compared with what. The other side is written as most users would, from the public descriptions."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from benchmarks.paired import Row, compare
from mario_world_model.config import (
    DreamConfig,
    GameConfig,
    MDNRNNConfig,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    VAEConfig,
    ViewConfig,
    preset_config,
)
from mario_world_model.dream import Dream, dream_returns
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.emulation.backends import installed
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.models.world_model import Controls, Starts, WorldModel
from mario_world_model.rollouts.sequences import SequenceBatch
from mario_world_model.training.mdn_rnn_loss import mdn_rnn_loss
from mario_world_model.utils.environment import make_env

_ACTIONS = len(ACTION_SETS["SIMPLE_MOVEMENT"])


def all_rows(repeats: int) -> Iterator[Row]:
    """Yield the rows one by one, as they are measured."""
    if installed("nes-py") and installed("stable-retro"):
        yield emulation(repeats)
    yield vae_training(repeats)
    yield mdn_rnn_training(repeats)
    yield dreaming(repeats)


def emulation(repeats: int) -> Row:
    """Agent steps with random play: our environment, and four single-frame steps on nes-py with a resize."""
    steps = 150
    ours = make_env(GameConfig(sticky=0.0, noops=0, backend="stable-retro"), ViewConfig())
    plain = make_env(GameConfig(sticky=0.0, noops=0, frame_skip=1, backend="nes-py"))
    rng = np.random.default_rng(0)

    def play_ours() -> int:
        ours.reset()
        for _ in range(steps):
            if ours.step(int(rng.integers(_ACTIONS)))[2]:
                ours.reset()
        return steps

    def play_plain() -> int:
        plain.reset()
        for _ in range(steps):
            action = int(rng.integers(_ACTIONS))
            for _ in range(4):
                screen, _, done, _, _ = plain.step(action)
                if done:
                    plain.reset()
                    break
            cv2.resize(screen, (64, 64), interpolation=cv2.INTER_AREA)
        return steps

    row = compare("emulation", "agent steps", play_ours, play_plain, "gym-style loop on nes-py", repeats)
    ours.close()
    plain.close()
    return row


def vae_training(repeats: int) -> Row:
    """Images through one update: our default VAE, and the 2018 layout at batch 64."""
    frames = torch.randint(0, 256, (64, 64, 64, 3), dtype=torch.uint8)

    def trainer(config: VAEConfig, channels_last: bool) -> VAETrainer:
        return VAETrainer(VAE(config), frames, channels_last)

    paper = preset_config(TrainVAEConfig, "paper").model
    return compare(
        "VAE training",
        "images",
        trainer(VAEConfig(), channels_last=True),
        trainer(paper, channels_last=False),
        "2018 layout, batch 64",
        repeats,
    )


class VAETrainer:
    """Four updates on one batch."""

    def __init__(self, vae: VAE, frames: torch.Tensor, channels_last: bool) -> None:
        if channels_last:
            vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._vae = vae
        self._frames = frames
        self._optimiser = torch.optim.Adam(vae.parameters())

    def __call__(self) -> int:
        for _ in range(4):
            self._optimiser.zero_grad()
            self._vae.loss(self._frames).total.backward()
            self._optimiser.step()
        return 4 * len(self._frames)


def mdn_rnn_training(repeats: int) -> Row:
    """Steps through one update on cached latents, and with every frame encoded again for every batch."""
    batch, length, config = 16, 32, TrainMDNRNNConfig()
    vae, network = VAE(VAEConfig()).eval(), MDNRNN(MDNRNNConfig(), VAEConfig().latent_size, _ACTIONS)
    optimiser = torch.optim.Adam(network.parameters())
    luck = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (batch * (length + 1), 64, 64, 3), dtype=torch.uint8)

    def encode() -> Posterior:
        with torch.no_grad():
            posterior = vae.encode(frames)
        shape = (batch, length + 1, -1)
        return Posterior(posterior.mean.view(shape), posterior.log_variance.view(shape))

    def update(posterior: Posterior) -> int:
        steps = SequenceBatch(
            posterior,
            torch.zeros(batch, length, dtype=torch.int64),
            torch.zeros(batch, length),
            torch.zeros(batch, length, 2),
            torch.ones(batch, length),
        )
        optimiser.zero_grad()
        mdn_rnn_loss(network, steps, config, luck).total.backward()
        optimiser.step()
        return batch * length

    cached = encode()
    return compare(
        "MDN-RNN training",
        "steps",
        lambda: update(cached),
        lambda: update(encode()),
        "frames encoded for every batch",
        repeats,
    )


def dreaming(repeats: int) -> Row:
    """Dreamt steps: a population in one tensor, and one candidate and one start state at a time."""
    vae_config = VAEConfig()
    mdn_rnn = MDNRNN(MDNRNNConfig(), vae_config.latent_size, _ACTIONS).eval()
    starts = Starts(
        torch.randn(64, 9, vae_config.latent_size),
        torch.randint(_ACTIONS, (64, 8)),
        torch.full((64,), 8),
    )
    world = WorldModel(VAE(vae_config), mdn_rnn, Controls("SIMPLE_MOVEMENT", 4, ViewConfig()), starts, (-15.0, 60.0))
    config = DreamConfig(horizon=8)

    def dream(candidates: int, situations: int) -> int:
        vectors = torch.randn(candidates, parameter_count(world.features, _ACTIONS))
        controllers = Controllers.from_vectors(vectors, world.features, _ACTIONS, bound=1.0)
        dream_returns(Dream(world, config, candidates, situations, weighed=True), controllers, seed=0)
        return candidates * situations * config.horizon

    return compare(
        "dream",
        "dreamt steps",
        lambda: dream(64, 32),
        lambda: sum(dream(1, 1) for _ in range(4)),
        "one candidate at a time",
        repeats,
    )

"""Training of V: our default network and loss beside the layout of 2018, images a second and what they are worth."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Work, ratio
from benchmarks.operations import VAE_FORMULA, vae_image
from benchmarks.paired import Piece, compare
from mario_world_model.config import TrainVAEConfig, preset_config
from mario_world_model.models.colour_rarity import ColourRarity
from mario_world_model.models.vae import VAE
from mario_world_model.rollouts.frames import FrameBatch, FramePool
from mario_world_model.training.adam import adam
from mario_world_model.utils.seeding import stream

_BATCH = 64
_UPDATES = 4
_HELD_OUT = 512
_SLICES = 16  # of a training, after each of which its PSNR is looked at, off the clock


def measure_vision(bench: Bench) -> None:
    train, held_out = bench.dataset.split()
    pool = FramePool([bench.dataset.episodes[index] for index in train])
    unseen = FramePool([bench.dataset.episodes[index] for index in held_out]).spread(_HELD_OUT).frames
    ours, paper = preset_config(TrainVAEConfig, "default"), preset_config(TrainVAEConfig, "paper")
    batch = pool.spread(_BATCH)
    both = compare(_Trainer(ours, pool).repeat(batch), _Trainer(paper, pool).repeat(batch), bench.repeats)
    what = "images/s, the layout of 2018 at batch 64 in single precision"
    bench.found(ratio("VAE training", what, both, "images", 4.0))
    for name, config, rate in (("VAE training", ours, both.ours), ("the layout of 2018", paper, both.other)):
        bench.works.append(Work(name, "image", *vae_image(VAE(config.model), batch), rate, VAE_FORMULA))

    seconds = 8.0 if bench.quick else 120.0
    reference, trained = _Trainer(paper, pool), _Trainer(ours, pool)
    reference.train(seconds)
    goal, soon = reference.psnr(unseen), seconds
    for slices in range(1, _SLICES + 1):
        trained.train(seconds / _SLICES)
        reached = trained.psnr(unseen)
        if reached >= goal:
            soon = min(soon, slices * seconds / _SLICES)
    measured = f"{reached:.1f} beside {goal:.1f} dB"
    what = f"held-out PSNR after {seconds:.0f} s of training, more than the layout of 2018"
    bench.found(Figure("VAE training", what, reached - goal, "dB", 0.0, at_least=True, measured=measured))
    what = f"time to the held-out PSNR that the layout of 2018 has after {seconds:.0f} s"
    measured = f"{goal:.1f} dB after {soon:.1f} s"
    bench.found(Figure("VAE training", what, seconds / soon, "×", 4.0, at_least=True, measured=measured))


class _Trainer:
    """Updates as `train-vae` makes them; the paper's settings leave out what the paper did not have."""

    def __init__(self, config: TrainVAEConfig, pool: FramePool) -> None:
        torch.manual_seed(0)
        self._config = config
        self._batches = _endless(pool)
        self._vae = VAE(config.model)
        self._rarity: ColourRarity | None = None
        if config.preset != "paper":
            self._rarity = ColourRarity(pool.spread(1024).frames, config.colour_rarity)
            self._optimiser = adam(self._vae, config.learning_rate)
        else:
            self._vae.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            self._optimiser = torch.optim.Adam(self._vae.parameters(), lr=config.learning_rate)

    def update(self, batch: FrameBatch) -> None:
        taught = self._config.model.landmarks
        landmarks, enemies = (batch.landmarks, batch.enemies) if taught else (None, None)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._vae.loss(batch.frames, None, self._rarity, landmarks, enemies, self._config.landmark_weight)
        loss.total.backward()
        self._optimiser.step()

    def repeat(self, batch: FrameBatch) -> Piece:
        """A piece of work: updates on one batch."""

        def updates() -> float:
            for _ in range(_UPDATES):
                self.update(batch)
            return float(_UPDATES * len(batch))

        return updates

    def train(self, seconds: float) -> None:
        """Go on for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.update(next(self._batches))

    @torch.no_grad()
    def psnr(self, frames: Tensor) -> float:
        """Of reconstructions of posterior means, dB."""
        silence = torch.zeros(len(frames), self._config.model.latent_size)
        return float(self._vae.loss(frames, silence).psnr())


def _endless(pool: FramePool) -> Iterator[FrameBatch]:
    for epoch in itertools.count():
        yield from pool.batches(_BATCH, stream(0, epoch))

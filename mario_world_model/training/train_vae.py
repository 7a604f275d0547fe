"""Train the VAE, V, on the frames of a data set.

    python -m mario_world_model.training.train_vae --dataset data/mario_rollouts.pkl \
        --epochs 50 --batch-size 64 --output checkpoints/vae_mario.pt

A few minutes on a laptop:

    python -m mario_world_model.training.train_vae --preset demo

On two GPUs, or two processes of a CPU:

    torchrun --nproc-per-node 2 -m -- mario_world_model.training.train_vae --dataset data/mario_rollouts.pkl
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mario_world_model.checkpoints import load_vae, save_vae
from mario_world_model.command import run_command
from mario_world_model.config import TrainVAEConfig, to_plain
from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.errors import InputError
from mario_world_model.models.colour_rarity import ColourRarity
from mario_world_model.models.share import WHOLE, Share
from mario_world_model.models.vae import VAE, VAELoss, to_frames
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.frames import FrameBatch, FramePool
from mario_world_model.training.adam import adam
from mario_world_model.training.arithmetic import check_arithmetic, compiling, reduced
from mario_world_model.training.budget import Budget
from mario_world_model.training.finite import require_finite
from mario_world_model.training.ranks import Ranks, first_of_all, join_ranks
from mario_world_model.training.resume import Run
from mario_world_model.training.weight_average import WeightAverage
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.progress import percent_progress
from mario_world_model.utils.seeding import stream, stream_seed
from mario_world_model.utils.signals import stop_between_steps
from mario_world_model.utils.video import side_by_side

_WEIGHTS_STREAM, _BATCH_STREAM = 10, 11
_HELD_OUT_FRAMES = 1024  # enough for a PSNR steady to 0.1 dB
_COUNTED_FRAMES = 4096  # 17 million pixels: the share of a colour is known well enough
_LOG_EVERY = 20
_COUNTERS = {"update": 0, "epoch": 0, "batch": 0, "seconds": 0.0, "loss_before": 0.0}


@dataclass(frozen=True)
class VAEFigures:
    """Held-out figures before the first and after the last update."""

    loss_before: float
    loss_after: float
    psnr_after: float


def train_vae(config: TrainVAEConfig) -> VAEFigures:
    """Train V and write its checkpoint; goes on where an interrupted training stopped."""
    with join_ranks() as ranks:
        device = choose_device(config.device)
        check_arithmetic(config, device, ranks)
        dataset = open_dataset(config.dataset, config.skip_damaged)
        inputs = {"dataset": dataset.fingerprint, "init": config.init}
        with Run("VAE", config, inputs, ranks) as run:
            return run.finished(VAEFigures) or _train(config, dataset, device, run, ranks)


def _train(config: TrainVAEConfig, dataset: Dataset, device: torch.device, run: Run, ranks: Ranks) -> VAEFigures:
    train, held_out = dataset.split()
    pool = FramePool([dataset.episodes[index] for index in train], device)
    unseen = FramePool([dataset.episodes[index] for index in held_out]).spread(_HELD_OUT_FRAMES).to(device)
    rarity = (
        ColourRarity(pool.spread(_COUNTED_FRAMES).frames.to(device), config.colour_rarity)
        if config.colour_rarity
        else None
    )
    torch.manual_seed(stream_seed(config.seed, _WEIGHTS_STREAM))
    vae = _initial_vae(config, dataset).to(device)
    optimiser = adam(vae, config.learning_rate)
    average = WeightAverage(vae, config.average)
    at = run.restore(_COUNTERS, vae=vae, adam=optimiser, **average.parts)
    if not at:
        average.follow()
    update, first_epoch, number = at.get("update", 0), at.get("epoch", 0), at.get("batch", 0)
    updates = config.epochs * max(1, len(pool) // config.batch_size)
    budget = Budget(updates, config.max_minutes, at.get("seconds", 0.0), ranks)
    losses = _Losses(vae, rarity, config)
    if config.compile:
        losses.compile()
    losses = ranks.together(losses)
    share = _equal_share(ranks, min(config.batch_size, len(pool)))
    with (
        run.tracker("vae") as tracker,
        percent_progress("VAE", shown=ranks.first) as bar,
        stop_between_steps(),
    ):
        if at:
            loss_before = at["loss_before"]
        else:
            loss_before, psnr, errors = _held_out(average.network, unseen, rarity, config)
            tracker.scalars(0, held_out__loss=loss_before, held_out__psnr=psnr, cost__seconds=run.seconds, **errors)
        for epoch in range(first_epoch, config.epochs):
            rng = stream(config.seed, _BATCH_STREAM, epoch)
            for batch in pool.batches(config.batch_size, rng, skip=number):
                if budget.progress(update) >= 1.0:
                    break
                for group in optimiser.param_groups:
                    group["lr"] = config.learning_rate * (1.0 if config.average else budget.rate_scale(update))
                noise = torch.randn(len(batch), vae.config.latent_size, device=device)
                with compiling():
                    loss = losses(batch.part(share.rows).to(device), noise[share.rows], share)
                optimiser.zero_grad(set_to_none=True)
                loss.total.backward()
                require_finite(loss.total, vae.parameters(), f"VAE: step {update}, epoch {epoch}, batch {number}")
                optimiser.step()
                average.follow()
                update, number = update + 1, number + 1
                if update % _LOG_EVERY == 0:
                    tracker.scalars(
                        update,
                        train__loss=loss.total.item(),
                        train__psnr=loss.psnr().item(),
                        train__kl=loss.kl.item(),
                        train__frames=update * config.batch_size,
                        cost__seconds=run.seconds,
                        **_landmark_errors("train", loss.landmarks),
                    )
                    bar.n = round(100 * budget.progress(update))
                    bar.set_postfix(
                        psnr=f"{loss.psnr().item():.1f} dB",
                        kl=f"{loss.kl.item():.0f}",
                        rate=f"{budget.per_second(update * config.batch_size):.0f} images/s",
                    )
                counters = {"update": update, "epoch": epoch, "batch": number}
                run.reached(update, {**counters, "seconds": budget.spent, "loss_before": loss_before})
            number = 0
            loss_after, psnr, errors = _held_out(average.network, unseen, rarity, config)
            tracker.scalars(update, held_out__loss=loss_after, held_out__psnr=psnr, cost__seconds=run.seconds, **errors)
            tracker.picture(update, "reconstructions", _picture(average.network, unseen.frames))
            if budget.progress(update) >= 1.0:
                break
    figures = VAEFigures(loss_before, loss_after, psnr)
    provenance = {
        "dataset": dataset.fingerprint,
        "settings": to_plain(config),
        "updates": update,
        "held_out": {"loss": figures.loss_after, "psnr": figures.psnr_after},
    }
    if ranks.first:
        save_vae(config.output, average.network, dataset.controls, provenance)
    run.finish(figures, torch.get_num_threads(), config.init)
    return figures


def _initial_vae(config: TrainVAEConfig, dataset: Dataset) -> VAE:
    vae = VAE(config.model)
    if config.init is not None:
        saved = load_vae(config.init)
        if saved.controls != dataset.controls:
            raise InputError(f"{config.init}: expected a VAE for {dataset.controls}, found one for {saved.controls}")
        vae = saved.vae.train()
    if vae.config.landmarks and vae.config.latent_size < len(LANDMARKS):
        raise InputError(
            f"latent_size: expected at least {len(LANDMARKS)}, which landmarks take, or --no-landmarks, "
            f"found {vae.config.latent_size}"
        )
    return vae


class _Losses(nn.Module):
    """V and its loss as one module, which torch can train in several processes."""

    def __init__(self, vae: VAE, rarity: ColourRarity | None, config: TrainVAEConfig) -> None:
        super().__init__()
        self.vae, self._rarity, self._config = vae, rarity, config

    def forward(self, batch: FrameBatch, noise: Tensor, share: Share = WHOLE) -> VAELoss:
        """The loss of frames (B, 64, 64, 3), or of a share of them, under noise (B, Z)."""
        with reduced(self._config, noise.device):
            if not self.vae.config.landmarks:
                return self.vae.loss(batch.frames, noise, self._rarity, share=share)
            told, weight = (batch.landmarks, batch.enemies), self._config.landmark_weight
            return self.vae.loss(batch.frames, noise, self._rarity, *told, weight, share)


def _equal_share(ranks: Ranks, batch_size: int) -> Share:
    """This rank's part of a batch; its error is a mean over equal parts."""
    if batch_size % ranks.count:
        raise InputError(f"batch_size: expected a multiple of the {ranks.count} ranks, found {batch_size}")
    return ranks.share(batch_size)


@torch.no_grad()
def _held_out(
    vae: VAE, batch: FrameBatch, rarity: ColourRarity | None, config: TrainVAEConfig
) -> tuple[float, float, dict[str, float]]:
    """Loss, PSNR and errors of landmarks of the posterior mean: without noise, in float32, so that runs compare."""
    silence = torch.zeros(256, vae.config.latent_size, device=batch.frames.device)
    loss_of = _Losses(vae, rarity, dataclasses.replace(config, precision="float32"))
    losses = [loss_of(part, silence[: len(part)]) for part in batch.split(256)]
    landmarks = [loss.landmarks for loss in losses if loss.landmarks is not None]
    return (
        float(np.mean([loss.total.item() for loss in losses])),
        float(np.mean([loss.psnr().item() for loss in losses])),
        _landmark_errors("held_out", torch.stack(landmarks).mean(dim=0) if landmarks else None),
    )


def _landmark_errors(of: str, squares: Tensor | None) -> dict[str, float]:
    """Root mean squared error of every landmark by the name under which it is logged."""
    if squares is None:
        return {}
    return {f"{of}__error_{name}": error for name, error in zip(LANDMARKS, squares.sqrt().tolist(), strict=True)}


@torch.no_grad()
def _picture(vae: VAE, frames: Tensor, count: int = 8) -> NDArray[np.uint8]:
    """Frames above their reconstructions, uint8 (128 + gap, …, 3)."""
    chosen = frames[:: max(1, len(frames) // count)][:count]
    again = to_frames(vae.decode(vae.encode(chosen).mean)).cpu().numpy()
    columns = [np.concatenate(pair, axis=0) for pair in zip(chosen.cpu().numpy(), again, strict=True)]
    return side_by_side(columns)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(TrainVAEConfig, _report, "mario-world-model train-vae", arguments)


def _report(config: TrainVAEConfig) -> None:
    figures = train_vae(config)
    if not first_of_all():
        return
    print(
        f"{config.output}: held-out loss {figures.loss_before:.0f} → {figures.loss_after:.0f}, "
        f"PSNR {figures.psnr_after:.1f} dB"
    )


if __name__ == "__main__":
    sys.exit(main())

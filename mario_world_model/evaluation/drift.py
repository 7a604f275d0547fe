"""How far a dream wanders from the game under the same actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.evaluation.foresight import dreamt, survived_windows
from mario_world_model.evaluation.readout import Reader, truth_of
from mario_world_model.models.vae import to_images
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.latents import LatentEpisode

HORIZONS = (1, 2, 4, 8, 12, 16, 24, 32, 48)
_PLACE = ("screen_x", "y")
_TILE = 16.0  # pixels


@dataclass(frozen=True)
class Drift:
    """Dreams and the game a number of steps after they parted."""

    horizon: int
    temperature: float
    psnr: float
    """Of dreamt against real frames, dB."""
    psnr_reconstruction: float
    """Of V's reconstructions of the same frames: what a perfect dream would reach."""
    errors: dict[str, float]
    """Mean absolute error of Mario's place as read off dreamt latents, pixels."""
    errors_reconstruction: dict[str, float]
    """The same read off the latents of the real frames."""
    windows: int


@torch.no_grad()
def drift(
    world_model: WorldModel,
    episodes: Sequence[Episode],
    latents: Sequence[LatentEpisode],
    readers: dict[str, Reader],
    temperature: float,
    seed: int,
    count: int = 128,
) -> list[Drift]:
    """Dream the real actions from `count` frames that are followed by at least 48 steps.

    `latents` are those of `episodes`; `readers` maps targets of `evaluation.readout` to readers of `z`.
    Empty where no episode is long enough.
    """
    windows = survived_windows(latents, HORIZONS[-1], count, np.random.default_rng(seed))
    if not windows:
        return []
    found = []
    for step, imagined in enumerate(dreamt(world_model, latents, windows, HORIZONS[-1], temperature, seed)):
        here = imagined.latents
        if step + 1 in HORIZONS:
            real = torch.stack([latents[number].posterior.mean[first + step + 1] for number, first in windows])
            frames = np.concatenate(
                [episodes[number].frames[first + step + 1 : first + step + 2] for number, first in windows]
            )
            images = to_images(torch.from_numpy(frames)).to(world_model.device)
            truths = {
                target: np.array([truth_of(episodes[number])[target][first + step + 1] for number, first in windows])
                for target in readers
            }
            found.append(
                Drift(
                    horizon=step + 1,
                    temperature=temperature,
                    psnr=_psnr(world_model, here, images),
                    psnr_reconstruction=_psnr(world_model, real.to(world_model.device), images),
                    errors={name: _error(readers[name](here.cpu()), truths[name]) for name in readers},
                    errors_reconstruction={name: _error(readers[name](real), truths[name]) for name in readers},
                    windows=len(windows),
                )
            )
    return found


@torch.no_grad()
def place_errors(
    world_model: WorldModel, latents: Sequence[LatentEpisode], steps: int, seed: int, count: int = 200
) -> dict[str, float]:
    """How far Mario is from where he should be after `steps` steps of the likeliest path under the real actions.

    Mean absolute errors in pixels, by landmark, of `count` dreams against what V, which was taught landmarks, sees in
    the real frames. Empty where no episode is long enough.
    """
    windows = survived_windows(latents, steps, count, np.random.default_rng(seed))
    if not windows:
        return {}
    *_, last = dreamt(world_model, latents, windows, steps, 0.0, seed)
    real = torch.stack([latents[number].posterior.mean[first + steps] for number, first in windows])
    wrong = _TILE * (last.latents.cpu() - real).abs().mean(dim=0)
    return {name: float(wrong[LANDMARKS.index(name)]) for name in _PLACE}


def _psnr(world_model: WorldModel, latents: Tensor, images: Tensor) -> float:
    return -10.0 * float(torch.log10((world_model.vae.decode(latents) - images).square().mean()))


def _error(read: Tensor, truth: np.ndarray) -> float:
    return float(np.abs(read.numpy() - truth).mean())

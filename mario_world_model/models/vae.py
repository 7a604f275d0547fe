"""The vision model V: a convolutional VAE from 64×64 RGB frames to a latent `z`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mario_world_model.config import VAEConfig
from mario_world_model.models.colour_rarity import ColourRarity
from mario_world_model.models.glimpse import GlimpseEncoder, enemies_surprise, mario_surprise
from mario_world_model.models.share import WHOLE, Share

FRAME_SIZE = 64
GRID = 8
"""Cells along each side of a grid latent: what three stride-2 convolutions leave."""

# Beyond these a posterior is a point or the prior many times over, and exp() is still finite.
_LOG_VARIANCE_BOUNDS = (-12.0, 4.0)


@dataclass(frozen=True)
class Posterior:
    """Diagonal Gaussian q(z | frame); both tensors float32 (B, Z)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """A latent (B, Z); `noise` is standard normal of the same shape, fresh if not given."""
        if noise is None:
            noise = torch.randn_like(self.mean)
        return self.mean + noise * torch.exp(0.5 * self.log_variance)

    def kl(self) -> Tensor:
        """KL divergence from the standard normal prior in nats, (B,) (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1.0 - self.log_variance).sum(dim=1)


@dataclass(frozen=True)
class VAELoss:
    """Scalars of one batch: what is minimised, and what it is made of."""

    total: Tensor
    mse: Tensor
    """Mean squared error per channel value, frames in [0, 1]."""
    kl: Tensor
    """Nats per frame."""
    landmarks: Tensor | None = None
    """Squared error of each landmark, (G,), where V is taught any."""

    def psnr(self) -> Tensor:
        """Peak signal-to-noise ratio in dB."""
        return -10.0 * torch.log10(self.mse.detach())


class VAE(nn.Module):
    """Encoder q(z | frame) and decoder p(frame | z)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        build = {"glimpse": _glimpse, "grid": _grid, "flat": _flat, "paper": _paper}[self.config.architecture]
        self.encoder, self.decoder = build(config)
        # Frames come with their channels last, and CPUs multiply convolutions faster so.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's overloads

    def encode(self, frames: Tensor) -> Posterior:
        """Posterior of frames, uint8 (B, 64, 64, 3) as the environment gives them."""
        return _posterior(self.encoder(to_images(frames)))

    def decode(self, latents: Tensor) -> Tensor:
        """Images float (B, 3, 64, 64) in [0, 1] of latents (B, Z)."""
        images: Tensor = self.decoder(latents)
        return images

    def loss(
        self,
        frames: Tensor,
        noise: Tensor | None = None,
        rarity: ColourRarity | None = None,
        landmarks: Tensor | None = None,
        enemies: Tensor | None = None,
        landmark_weight: float = 0.0,
        share: Share = WHOLE,
    ) -> VAELoss:
        """Negative evidence lower bound per frame, up to a constant, for frames uint8 (B, 64, 64, 3).

        With `rarity`, pixels count in the reconstruction by how rare their colours are. With `landmarks` (B, G), the
        first G numbers of a latent are taught to be them: `landmark_weight` nats for a squared distance of one,
        in the mean over the posterior, so that it has to be narrow there. A glimpse encoder learns with the same weight
        where Mario is and, from their places `enemies` (B, slots, 2), where enemies are.

        `calibrated` is the optimal-variance decoder of Rybkin et al. 2021 (equation 8): the
        squared error weighs as much as the reconstruction is already good, so that a sprite
        of a few pixels stays worth encoding once the scenery is right. With `share`, the frames are one of equal shares
        of a batch, over all of which that error is taken.
        """
        images = to_images(frames)
        sighting = None
        if isinstance(self.encoder, GlimpseEncoder):
            raw, sighting = self.encoder.look(images)
        else:
            raw = self.encoder(images)
        posterior = _posterior(raw.float())
        squares = (self.decode(posterior.sample(noise)).float() - images).square()
        mse = squares.mean()
        weighted = mse if rarity is None else (squares * rarity.weights(frames)).mean()
        values = images[0].numel()
        if self.config.likelihood == "calibrated":
            reconstruction = 0.5 * values * torch.log(share.mean(weighted) + 1e-8)
        else:
            reconstruction = values * weighted
        kl = posterior.kl()
        charged = kl.clamp(min=self.config.free_nats * self.config.latent_size).mean()
        total = reconstruction + self.config.beta * charged
        if landmarks is None:
            return VAELoss(total, mse.detach(), kl.mean().detach())
        told = landmarks.shape[1]
        distance = (posterior.mean[:, :told] - landmarks).square()
        spread = posterior.log_variance[:, :told].exp()
        total = total + landmark_weight * (distance + spread).sum(dim=1).mean()
        if sighting is not None:
            total = total + landmark_weight * mario_surprise(sighting.mario, landmarks).mean()
        if sighting is not None and sighting.enemies is not None and enemies is not None:
            total = total + landmark_weight * enemies_surprise(sighting.enemies, enemies).mean()
        return VAELoss(total, mse.detach(), kl.mean().detach(), distance.mean(dim=0).detach())


def _posterior(raw: Tensor) -> Posterior:
    mean, log_variance = raw.chunk(2, dim=1)
    return Posterior(mean.flatten(1), log_variance.flatten(1).clamp(*_LOG_VARIANCE_BOUNDS))


def to_images(frames: Tensor) -> Tensor:
    """uint8 (B, H, W, C) as float (B, C, H, W) in [0, 1], channels last in memory as it came."""
    return frames.permute(0, 3, 1, 2).float().div_(255.0)


def to_frames(images: Tensor) -> Tensor:
    """float (B, C, H, W) in [0, 1] as uint8 (B, H, W, C)."""
    return images.clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _down(channels_in: int, channels_out: int) -> nn.Conv2d:
    # Kernel 4, stride 2, padding 1 halves exactly and lets the decoder mirror it exactly.
    return nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)


def _up(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)


def _trunks(widths: tuple[int, ...]) -> tuple[list[nn.Module], list[nn.Module]]:
    first, second, third = widths
    down = [_down(3, first), nn.ReLU(), _down(first, second), nn.ReLU(), _down(second, third), nn.ReLU()]
    up = [
        nn.ReLU(),
        _up(third, second),
        nn.ReLU(),
        _up(second, first),
        nn.ReLU(),
        _up(first, 3),
        nn.Sigmoid(),
    ]
    return down, up


def _grid(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """Latents stay where they are in the picture: 8×8 cells, latent_size/64 numbers each."""
    widths = config.widths
    down, up = _trunks(widths)
    channels = config.latent_size // GRID**2
    encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], 2 * channels, 1))
    spread = nn.Conv2d(channels, widths[-1], 3, padding=1)
    return encoder, nn.Sequential(nn.Unflatten(1, (channels, GRID, GRID)), spread, *up)


def _flat(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """One fully connected bottleneck."""
    latent_size, widths = config.latent_size, config.widths
    down, up = _trunks(widths)
    cells = widths[-1] * GRID**2
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(cells, 2 * latent_size))
    unflatten = nn.Unflatten(1, (widths[-1], GRID, GRID))
    return encoder, nn.Sequential(nn.Linear(latent_size, cells), unflatten, *up)


def _glimpse(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """The flat decoder behind an encoder that finds Mario and his enemies and looks around him."""
    # Without landmarks nobody teaches a map what an enemy is, nor are there numbers for what is read off it.
    enemy_map = config.enemy_map and config.landmarks
    return GlimpseEncoder(config.latent_size, config.widths, enemy_map), _flat(config)[1]


def _paper(config: VAEConfig) -> tuple[nn.Module, nn.Module]:
    """The layout of Ha & Schmidhuber 2018, appendix A.1; its widths are fixed."""
    latent_size = config.latent_size
    down: list[nn.Module] = []
    channels = 3
    for width in (32, 64, 128, 256):
        down += [nn.Conv2d(channels, width, 4, stride=2), nn.ReLU()]
        channels = width
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(1024, 2 * latent_size))
    decoder = nn.Sequential(
        nn.Linear(latent_size, 1024),
        nn.Unflatten(1, (1024, 1, 1)),
        nn.ConvTranspose2d(1024, 128, 5, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 5, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 6, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 6, stride=2),
        nn.Sigmoid(),
    )
    return encoder, decoder

"""An encoder that finds Mario and his enemies and looks around him, beside taking in the whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_world_model.emulation.landmarks import LANDMARKS, SIGHT
from mario_world_model.models.precision import full_precision

PLACES: Final = 32
"""Rows and columns of the map of places Mario may be at; two pixels of a frame each."""

# A place is 240/32 by 224/32 pixels of the screen; landmarks measure in tiles of 16 from 6 tiles left of and below.
_PLACE_X, _PLACE_Y = 240 / PLACES / 16, 224 / PLACES / 16
_MIDDLE, _TOP = 6.0, 255 / 16
# Where Mario is put in a glimpse: there is more to see ahead of him than behind.
_COLUMN, _ROW = 8, 16
_CHANNELS, _UNITS = 24, 128
_ENEMIES = slice(LANDMARKS.index("ahead_near"), LANDMARKS.index("behind_above") + 1)
# Log odds of an enemy at a place before training: there are a few at 1,024 places.
_FIRST_ODDS = -6.0


@dataclass(frozen=True)
class Sighting:
    """What an encoder found where, rows first."""

    mario: Tensor
    """Log odds that Mario is at each place and at no other, (B, PLACES²)."""
    enemies: Tensor | None
    """Log odds that an enemy is at each place, whatever is at others, (B, PLACES²), where there is a map of them."""


class GlimpseEncoder(nn.Module):
    """Frames to posteriors, the first two means of which are where Mario is.

    One convolution says for every place how likely Mario is there, and how likely an enemy, with the same weights
    everywhere; his expected place (the spatial soft-argmax of Levine et al. 2016, section 5.1) are two numbers of the
    latent as they are. Around it a glimpse (Mnih et al. 2014) is cut out of the features and of the map of enemies, so
    that what is near Mario always lies at the same spot. Which enemies are nearest is read off the map; what the layers
    say of them is added as a correction. A fully connected layer alone has to learn all this anew for every place of
    the screen.
    """

    def __init__(self, latent_size: int, widths: tuple[int, ...], enemy_map: bool = True) -> None:
        super().__init__()
        self._maps = 2 if enemy_map else 1
        first, second, third = widths
        self.enter = nn.Sequential(nn.Conv2d(3, first, 4, stride=2, padding=1), nn.ReLU())
        self.whole = nn.Sequential(
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, third, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.detail = nn.Sequential(
            nn.Conv2d(first, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.ReLU(),
        )
        self.where = nn.Conv2d(_CHANNELS, self._maps, 1)
        assert self.where.bias is not None
        nn.init.constant_(self.where.bias[1:], _FIRST_ODDS)
        half = PLACES // 2
        self.around = nn.Sequential(
            nn.Conv2d(_CHANNELS + self._maps - 1, _CHANNELS, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(_CHANNELS * half * half, _UNITS),
            nn.ReLU(),
        )
        self.leave = nn.Linear(third * (half // 2) ** 2 + _UNITS, 2 * latent_size)

    def forward(self, images: Tensor) -> Tensor:
        """Means and log variances (B, 2·Z) of images (B, 3, 64, 64)."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Tensor, Sighting]:
        """The same, and what it found where."""
        entered = self.enter(images)
        detail = self.detail(entered)
        where = self.where(detail).float()
        with full_precision(images):
            chances = where[:, 0].flatten(1).softmax(dim=1).view(-1, PLACES, PLACES)
            numbers = torch.arange(PLACES, dtype=chances.dtype, device=chances.device)
            column, row = (chances.sum(dim=1) @ numbers, chances.sum(dim=2) @ numbers)
            # The map of enemies learns from where they are alone: it stays one.
            enemies = where[:, 1:].detach().sigmoid()
            near = centred(torch.cat([detail.float(), enemies], dim=1), column.detach(), row.detach())
        around = self.around(near)
        whole = self.whole(entered)
        with full_precision(images):
            raw = self.leave(torch.cat([whole, around], dim=1).float())
            if self._maps == 2:
                nearest = nearest_enemies(enemies.squeeze(1), column.detach(), row.detach())
        place = torch.stack([column * _PLACE_X - _MIDDLE, _TOP - _MIDDLE - row * _PLACE_Y], dim=1)
        odds = where.flatten(2).unbind(dim=1)
        if self._maps == 1:
            return torch.cat([place, raw[:, 2:]], dim=1), Sighting(odds[0], None)
        corrected = raw[:, _ENEMIES] + nearest
        posterior = torch.cat([place, raw[:, 2 : _ENEMIES.start], corrected, raw[:, _ENEMIES.stop :]], dim=1)
        return posterior, Sighting(*odds)


def centred(detail: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Features (B, C, PLACES, PLACES) shifted so that a place (B,), (B,) comes to lie at `_COLUMN`, `_ROW`.

    What lies beyond the edges is zero. All of a frame moves alike, so that two products do it, rows first, where a
    general sampler would look up every place on its own and, on a GPU, add up gradients in any order.
    """
    rows, columns = _moved(row - _ROW), _moved(column - _COLUMN)
    # Channels stay last, as the convolutions before and after have them.
    lines = torch.bmm(rows, detail.permute(0, 2, 3, 1).flatten(2)).unflatten(2, (PLACES, -1))
    return torch.matmul(columns.unsqueeze(1), lines).permute(0, 3, 1, 2)


def _moved(places: Tensor) -> Tensor:
    """Matrices (B, PLACES, PLACES) that take a line of places to the same moved by so many of them (B,), between two of
    them by their shares."""
    numbers = torch.arange(PLACES, dtype=places.dtype, device=places.device)
    sought = numbers + places.unsqueeze(1)
    return (1.0 - (sought.unsqueeze(2) - numbers).abs()).clamp(min=0.0)


def nearest_enemies(chances: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """The landmarks of enemies, (B, 6), on a map of them (B, PLACES, PLACES) with Mario at a place (B,), (B,).

    Going from Mario to one side, the first 1 of the chances that add up column by column is the nearest enemy, the
    next 1 that behind it: exact where chances are certain, whatever shares of an enemy lie in two columns.
    """
    numbers = torch.arange(PLACES, dtype=chances.dtype, device=chances.device)
    apart = (numbers - column.unsqueeze(1)) * _PLACE_X
    near = 2.0 * (1.0 - apart.abs() / SIGHT).clamp(min=0.0)
    mass = chances.sum(dim=1)
    rows = torch.einsum("brc,r->bc", chances, numbers) / mass.clamp(min=1e-6)
    height = ((row.unsqueeze(1) - rows) * _PLACE_Y / 2.0).clamp(-3.0, 3.0)
    ahead = torch.where(apart >= -0.5, mass, 0.0)
    behind = (mass - ahead).flip(1)
    shares = [_share(ahead, 0), _share(ahead, 1), _share(behind, 0).flip(1)]
    columns = [(share * near * what).sum(dim=1) for share in shares for what in (1.0, height)]
    return torch.stack(columns, dim=1)


def _share(mass: Tensor, rank: int) -> Tensor:
    """How much of mass (B, PLACES) belongs to the enemy that comes `rank` others after the first."""
    until = mass.cumsum(dim=1)
    return (until - rank).clamp(0.0, 1.0) - (until - mass - rank).clamp(0.0, 1.0)


def mario_surprise(odds: Tensor, landmarks: Tensor) -> Tensor:
    """Nats by which Mario's true place surprises, (B,), for log odds (B, PLACES²) and landmarks (B, G).

    A place between four others is one of them with the chances whose mean it is, so that the expected place is exact.
    """
    log_chances = odds.log_softmax(dim=1)
    numbers, shares = _places(landmarks[:, None, :2])
    return -(shares * log_chances.gather(1, numbers.flatten(1)).view_as(shares)).sum(dim=(1, 2))


def enemies_surprise(odds: Tensor, enemies: Tensor) -> Tensor:
    """Nats by which it surprises where enemies are and are not, (B,), for log odds (B, PLACES²) and their places
    (B, slots, 2), NaN for none."""
    truth = map_of(enemies).flatten(1)
    return functional.binary_cross_entropy_with_logits(odds, truth, reduction="none").sum(dim=1)


def map_of(enemies: Tensor) -> Tensor:
    """A map (B, PLACES, PLACES) of enemies at places (B, slots, 2), in tiles, NaN for none; its sum is their number."""
    there = torch.isfinite(enemies).all(dim=-1, keepdim=True)
    numbers, shares = _places(torch.where(there, enemies, 0.0))
    flat = enemies.new_zeros(len(enemies), PLACES**2)
    flat.scatter_add_(1, numbers.flatten(1), (shares * there).flatten(1))
    return flat.clamp(max=1.0).view(-1, PLACES, PLACES)


def _places(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """The four places around each of (B, N, 2) points, in tiles, and the shares of the point in them, (B, N, 4)."""
    column = ((tiles[..., 0] + _MIDDLE) / _PLACE_X).clamp(0.0, PLACES - 1.001)
    row = ((_TOP - _MIDDLE - tiles[..., 1]) / _PLACE_Y).clamp(0.0, PLACES - 1.001)
    left, top = column.floor(), row.floor()
    right, below = column - left, row - top
    numbers = torch.stack([(top + down) * PLACES + left + along for down in (0, 1) for along in (0, 1)], dim=-1).long()
    shares = torch.stack([(1 - below) * (1 - right), (1 - below) * right, below * (1 - right), below * right], dim=-1)
    return numbers, shares

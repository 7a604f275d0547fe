"""An encoder that finds Mario and looks around him, beside taking in the whole picture."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

PLACES: Final = 32
"""Rows and columns of the map of places Mario may be at; two pixels of a frame each."""

# A place is 240/32 by 224/32 pixels of the screen; landmarks measure in tiles of 16 from 6 tiles left of and below.
_PLACE_X, _PLACE_Y = 240 / PLACES / 16, 224 / PLACES / 16
_MIDDLE, _TOP = 6.0, 255 / 16
# Where Mario is put in a glimpse: there is more to see ahead of him than behind.
_COLUMN, _ROW = 8, 16
_CHANNELS, _UNITS = 24, 128


class GlimpseEncoder(nn.Module):
    """Frames to posteriors, the first two means of which are where Mario is.

    One convolution says for every place how likely Mario is there, with the same weights everywhere; the expected place
    (the spatial soft-argmax of Levine et al. 2016, section 5.1) are two numbers of the latent as they are. Around it a
    glimpse (Mnih et al. 2014) is cut out of the features, so that what is near Mario always lies at the same spot.
    A fully connected layer alone has to learn all this anew for every place of the screen.
    """

    def __init__(self, latent_size: int, widths: tuple[int, ...]) -> None:
        super().__init__()
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
        self.where = nn.Conv2d(_CHANNELS, 1, 1)
        half = PLACES // 2
        self.around = nn.Sequential(
            nn.Conv2d(_CHANNELS, _CHANNELS, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(_CHANNELS * half * half, _UNITS),
            nn.ReLU(),
        )
        self.leave = nn.Linear(third * (half // 2) ** 2 + _UNITS, 2 * latent_size)

    def forward(self, images: Tensor) -> Tensor:
        """Means and log variances (B, 2·Z) of images (B, 3, 64, 64)."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and the log odds that Mario is at each place, (B, PLACES²), rows first."""
        entered = self.enter(images)
        detail = self.detail(entered)
        odds = self.where(detail).flatten(1)
        chances = odds.softmax(dim=1).view(-1, PLACES, PLACES)
        numbers = torch.arange(PLACES, dtype=chances.dtype, device=chances.device)
        column, row = (chances.sum(dim=1) @ numbers, chances.sum(dim=2) @ numbers)
        around = self.around(_centred(detail, column.detach(), row.detach()))
        raw = self.leave(torch.cat([self.whole(entered), around], dim=1))
        place = torch.stack([column * _PLACE_X - _MIDDLE, _TOP - _MIDDLE - row * _PLACE_Y], dim=1)
        return torch.cat([place, raw[:, 2:]], dim=1), odds


def _centred(detail: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Features (B, C, PLACES, PLACES) shifted so that a place (B,), (B,) comes to lie at `_COLUMN`, `_ROW`."""
    shift = torch.zeros(len(detail), 2, 3, device=detail.device)
    shift[:, 0, 0] = shift[:, 1, 1] = 1.0
    shift[:, 0, 2] = (column - _COLUMN) * 2.0 / PLACES
    shift[:, 1, 2] = (row - _ROW) * 2.0 / PLACES
    grid = functional.affine_grid(shift, list(detail.shape), align_corners=False)
    return functional.grid_sample(detail, grid, align_corners=False)


def place_surprise(odds: Tensor, landmarks: Tensor) -> Tensor:
    """Nats by which Mario's true place surprises, (B,), for log odds (B, PLACES²) and landmarks (B, G).

    A place between four others is one of them with the chances whose mean it is, so that the expected place is exact.
    """
    log_chances = odds.log_softmax(dim=1)
    column = ((landmarks[:, 0] + _MIDDLE) / _PLACE_X).clamp(0.0, PLACES - 1.001)
    row = ((_TOP - _MIDDLE - landmarks[:, 1]) / _PLACE_Y).clamp(0.0, PLACES - 1.001)
    left, top = column.floor(), row.floor()
    surprise = torch.zeros_like(column)
    for at_x, share_x in ((left, 1.0 - (column - left)), (left + 1, column - left)):
        for at_y, share_y in ((top, 1.0 - (row - top)), (top + 1, row - top)):
            number = (at_y * PLACES + at_x).long().unsqueeze(1)
            surprise = surprise - share_x * share_y * log_chances.gather(1, number).squeeze(1)
    return surprise

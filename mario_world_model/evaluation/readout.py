"""What a latent knows: RAM truth read off it by a linear map and by a small network, neither of which V or M saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mario_world_model.emulation.ram import ENEMY_SLOTS
from mario_world_model.emulation.truth import NO_PIT, has_fallen
from mario_world_model.rollouts.episode import Episode

TARGETS = ("y", "screen_x", "y_speed", "enemy_dx", "enemy_dy", "pit_dx")
"""Mario's height, place on the screen and vertical speed; the nearest enemy, and the nearest pit."""

_IN_SIGHT = 128  # pixels to either side within which an enemy counts
_RIDGE = 1e-3  # on features of unit variance
_LEAST_SPREAD = 1e-3  # of a feature that never changes
_UNITS, _UPDATES, _BATCH = 128, 800, 512


@dataclass(frozen=True)
class Readout:
    """How well one quantity is read off features, on episodes the reader was not fitted to."""

    target: str
    reader: str
    """linear, or network: one hidden layer of 128 units."""
    r2: float
    """Share of the variance explained."""
    error: float
    """Mean absolute error: pixels, for speeds pixels a frame."""
    frames: int


def truth_of(episode: Episode) -> dict[str, NDArray[np.float32]]:
    """The `TARGETS` of every frame, (T + 1,) each, NaN where there is nothing to read.

    That is: no enemy or pit in sight, or Mario himself below the picture.
    """
    x, y = episode.column("x").astype(np.float32), episode.column("y").astype(np.float32)
    distance = np.full(len(x), np.inf, dtype=np.float32)
    enemy_dx, enemy_dy = np.full_like(x, np.nan), np.full_like(x, np.nan)
    for slot in range(ENEMY_SLOTS):
        dx = episode.column(f"enemy{slot}_x") - x
        nearer = (episode.column(f"enemy{slot}_active") > 0) & (np.abs(dx) < np.minimum(distance, _IN_SIGHT))
        distance[nearer] = np.abs(dx[nearer])
        enemy_dx[nearer] = dx[nearer]
        # Both from the bottom of the picture, as y is.
        enemy_dy[nearer] = (255.0 - episode.column(f"enemy{slot}_y") - y)[nearer]
    seen = np.where(has_fallen(episode.truth), np.nan, 1.0).astype(np.float32)
    pit = episode.column("pit_dx").astype(np.float32)
    return {
        "y": y * seen,
        "screen_x": episode.column("screen_x").astype(np.float32) * seen,
        "y_speed": episode.column("y_speed").astype(np.float32),
        "enemy_dx": enemy_dx,
        "enemy_dy": enemy_dy,
        "pit_dx": np.where(pit == NO_PIT, np.nan, pit),
    }


Truths = dict[str, NDArray[np.float32]]
Reader = Callable[[Tensor], Tensor]
"""Values (N,) read off features (N, F)."""


@dataclass(frozen=True)
class Frames:
    """Features (N, F) of some frames and what was true in them, (N,) per target."""

    features: Tensor
    truths: Truths

    def showing(self, target: str) -> tuple[Tensor, Tensor]:
        """Features and values of those frames in which there is something to read."""
        values = torch.from_numpy(self.truths[target])
        there = ~values.isnan()
        return self.features[there], values[there]


def read_out(fitted: Frames, unseen: Frames, seed: int) -> list[Readout]:
    """Fit both readers to some frames and try them on others; targets that either lacks are left out."""
    found = []
    for target in TARGETS:
        features, values = unseen.showing(target)
        if len(values) < 2 or len(fitted.showing(target)[1]) < 2:
            continue
        for name, fit in (("linear", fit_linear), ("network", fit_network)):
            difference = fit(*fitted.showing(target), seed)(features) - values
            r2 = 1.0 - float(difference.square().mean() / values.var())
            found.append(Readout(target, name, r2, float(difference.abs().mean()), len(values)))
    return found


def truths_of(episodes: Sequence[Episode]) -> Truths:
    """Truths of all frames of some episodes, one after the other."""
    truths = [truth_of(episode) for episode in episodes]
    return {target: np.concatenate([truth[target] for truth in truths]) for target in TARGETS}


def fit_linear(features: Tensor, values: Tensor, seed: int) -> Reader:
    """Ridge regression, in double precision; `seed` plays no part."""
    del seed
    scale = _scaling(features)
    scaled, values = scale(features).double(), values.double()
    mean = values.mean()
    gram = scaled.T @ scaled / len(scaled) + _RIDGE * torch.eye(scaled.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, scaled.T @ (values - mean) / len(scaled))
    return lambda others: (scale(others).double() @ weights + mean).float()


def fit_network(features: Tensor, values: Tensor, seed: int) -> Reader:
    """One hidden layer, by Adam."""
    generator = torch.Generator().manual_seed(seed)
    scale = _scaling(features)
    scaled, mean, spread = scale(features), values.mean(), values.std().clamp(min=1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(features.shape[1], _UNITS), nn.ReLU(), nn.Linear(_UNITS, 1))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _UPDATES)
    for _ in range(_UPDATES):
        rows = torch.randint(len(scaled), (_BATCH,), generator=generator)
        loss = (network(scaled[rows]).squeeze(1) - (values[rows] - mean) / spread).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    network.requires_grad_(False)
    return lambda others: network(scale(others)).squeeze(1) * spread + mean


def _scaling(features: Tensor) -> Callable[[Tensor], Tensor]:
    centre, spread = features.mean(dim=0), features.std(dim=0).clamp(min=_LEAST_SPREAD)
    return lambda others: (others - centre) / spread

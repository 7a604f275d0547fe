from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mario_world_model.config import VAEConfig
from mario_world_model.emulation.landmarks import LANDMARKS, enemy_places, landmarks_of
from mario_world_model.emulation.truth import NO_PIT, TRUTH_FIELDS
from mario_world_model.models.glimpse import (
    PLACES,
    GlimpseEncoder,
    centred,
    enemies_surprise,
    map_of,
    mario_surprise,
    nearest_enemies,
)
from mario_world_model.models.vae import VAE


def landmarks_at(x: float, y: float) -> torch.Tensor:
    """Landmarks of Mario at a point of the screen, in pixels from its left and from the bottom of the picture."""
    found = torch.zeros(1, len(LANDMARKS))
    found[0, 0], found[0, 1] = x / 16 - 6, y / 16 - 6
    return found


def test_the_expected_place_under_the_least_surprise_is_the_true_one() -> None:
    """Through the whole encoder: log odds are fitted to one place, and the first means of the posterior are there."""
    torch.manual_seed(0)
    encoder = GlimpseEncoder(24, (4, 4, 4))
    told = landmarks_at(101.0, 93.0)
    odds = torch.zeros(1, PLACES**2, requires_grad=True)
    optimiser = torch.optim.Adam([odds], lr=0.5)
    for _ in range(300):
        optimiser.zero_grad()
        mario_surprise(odds, told).sum().backward()
        optimiser.step()
    encoder.where.weight.data.zero_()

    class Fitted(torch.nn.Module):
        def forward(self, detail: torch.Tensor) -> torch.Tensor:
            return odds.detach().view(1, 1, PLACES, PLACES).expand(len(detail), 2, -1, -1)

    encoder.where = Fitted()  # type: ignore[assignment]
    place = encoder(torch.rand(1, 3, 64, 64))[0, :2]
    torch.testing.assert_close(place, told[0, :2], rtol=0.0, atol=0.02)


def test_a_glimpse_between_places_is_their_mean_by_its_shares() -> None:
    """As torch's general sampler has it, beyond the edges too."""
    detail, shift = torch.rand(5, 3, PLACES, PLACES), torch.rand(2, 5) * 1.2 * PLACES - 4.0
    column, row = shift
    affine = torch.zeros(5, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = 1.0
    affine[:, 0, 2], affine[:, 1, 2] = (column - 8) * 2 / PLACES, (row - 16) * 2 / PLACES
    grid = functional.affine_grid(affine, [5, 3, PLACES, PLACES], align_corners=False)
    expected = functional.grid_sample(detail, grid, align_corners=False)
    torch.testing.assert_close(centred(detail, column, row), expected, rtol=0.0, atol=1e-4)


def test_what_is_near_mario_is_seen_alike_wherever_he_is() -> None:
    """The glimpse of a picture that is shifted as a whole, by whole places, is the same."""
    torch.manual_seed(0)
    encoder = GlimpseEncoder(24, (4, 4, 4))
    seen = []
    encoder.around.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, :, 28:36, 20:34] = torch.rand(1, 3, 8, 14)
    with torch.no_grad():
        encoder.detail[0].bias.zero_()
        encoder.detail[2].bias.zero_()
        encoder.enter[0].bias.zero_()
        encoder.where.weight.mul_(1e4)
        encoder.where.bias[1] = -50.0  # where there is no picture there is no enemy either
        for shift in (0, 8):
            encoder(picture.roll(shift, dims=3))
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-4, atol=1e-4)


def test_mario_is_found_after_some_training() -> None:
    """A red square on stripes that move on their own; on pictures that were not trained on."""
    torch.manual_seed(0)
    vae = VAE(VAEConfig(latent_size=len(LANDMARKS) + 4, widths=(8, 8, 8)))
    luck = torch.Generator().manual_seed(1)

    def pictures(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        frames = torch.zeros(count, 64, 64, 3, dtype=torch.uint8)
        told = []
        for frame in frames:
            stripe, column, row = (
                int(torch.randint(low, high, (), generator=luck)) for low, high in ((0, 8), (8, 50), (20, 50))
            )
            frame[:, stripe::8] = torch.tensor([90, 140, 250], dtype=torch.uint8)
            frame[row : row + 4, column : column + 4] = torch.tensor([220, 40, 20], dtype=torch.uint8)
            told.append(landmarks_at(column * 3.75, 255 - row * 3.5))
        return frames, torch.cat(told)

    optimiser = torch.optim.Adam(vae.parameters(), lr=3e-3)
    for _ in range(150):
        frames, told = pictures(16)
        optimiser.zero_grad()
        vae.loss(frames, landmarks=told, landmark_weight=2000.0).total.backward()
        optimiser.step()
    frames, told = pictures(64)
    with torch.no_grad():
        apart = (vae.encode(frames).mean[:, :2] - told[:, :2]).abs().mean()
    assert float(apart) < 0.25  # tiles: four pixels of the screen, one of a frame


def test_the_map_of_enemies_under_the_least_surprise_shows_each_of_them() -> None:
    points = torch.tensor([[[2.0, 1.0], [-3.3, 4.1], [float("nan"), float("nan")]]])
    odds = torch.full((1, PLACES**2), -6.0, requires_grad=True)
    optimiser = torch.optim.Adam([odds], lr=0.5)
    for _ in range(300):
        optimiser.zero_grad()
        enemies_surprise(odds, points).sum().backward()
        optimiser.step()
    found = odds.detach().sigmoid().view(PLACES, PLACES)
    assert float(found.sum()) == pytest.approx(2.0, abs=0.05)
    for x, y in points[0, :2].tolist():
        row, column = (255 / 16 - 6 - y) * 16 / 7, (x + 6) * 16 / 7.5
        around = found[int(row) : int(row) + 2, int(column) : int(column) + 2]
        assert float(around.sum()) == pytest.approx(1.0, abs=0.03)


def test_no_enemy_anywhere_is_no_surprise_to_a_map_that_shows_none() -> None:
    odds = torch.full((2, PLACES**2), -20.0)
    nothing = torch.full((2, 5, 2), float("nan"))
    torch.testing.assert_close(enemies_surprise(odds, nothing), torch.zeros(2), atol=1e-4, rtol=0.0)


def test_nearest_enemies_are_read_off_a_sure_map_as_the_ram_has_them() -> None:
    """Hundreds of situations with up to three enemies a column or more apart, Mario anywhere."""
    rng = np.random.default_rng(0)
    truth = np.zeros((300, len(TRUTH_FIELDS)), dtype=np.int16)

    def put(name: str, values: np.ndarray | int) -> None:
        truth[:, TRUTH_FIELDS.index(name)] = values

    screen_x = rng.integers(80, 140, len(truth))
    for name, values in {"x": 500 + screen_x, "screen_x": screen_x, "y": rng.integers(70, 200, len(truth))}.items():
        put(name, values)
    put("alive", 1)
    put("pit_dx", NO_PIT)
    for slot, offset in enumerate((-75, 20, 70)):
        put(f"enemy{slot}_active", rng.integers(0, 2, len(truth)))
        put(f"enemy{slot}_type", 6)
        put(f"enemy{slot}_x", 500 + screen_x + offset + rng.integers(0, 25, len(truth)))
        put(f"enemy{slot}_y", rng.integers(80, 180, len(truth)))
    told = torch.from_numpy(landmarks_of(truth))
    places = torch.from_numpy(enemy_places(truth))
    column, row = (told[:, 0] + 6) * 16 / 7.5, (255 / 16 - 6 - told[:, 1]) * 16 / 7
    found = nearest_enemies(map_of(places), column, row)
    first = LANDMARKS.index("ahead_near")
    assert (told[:, first : first + 6] != 0).float().mean() > 0.3
    torch.testing.assert_close(found, told[:, first : first + 6], rtol=0.0, atol=0.02)


def test_without_landmarks_there_is_no_map_and_any_latent_size() -> None:
    vae = VAE(VAEConfig(latent_size=8, widths=(4, 4, 4), landmarks=False))
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    vae.loss(frames).total.backward()
    assert vae.encode(frames).mean.shape == (2, 8)

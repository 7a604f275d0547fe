from __future__ import annotations

import pytest
import torch

from mario_world_model.config import VAEConfig
from mario_world_model.errors import InputError
from mario_world_model.models.vae import VAE, Posterior, to_frames, to_images


@pytest.mark.parametrize(
    ("architecture", "latent_size"), [("grid", 64), ("grid", 256), ("flat", 30), ("paper", 32), ("flat", 17)]
)
def test_shapes_and_gradients(architecture: str, latent_size: int) -> None:
    vae = VAE(VAEConfig(latent_size=latent_size, architecture=architecture, widths=(4, 8, 8)))  # type: ignore[arg-type]
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    posterior = vae.encode(frames)
    assert posterior.mean.shape == posterior.log_variance.shape == (3, latent_size)
    assert vae.decode(posterior.sample()).shape == (3, 3, 64, 64)
    vae.loss(frames).total.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in vae.parameters())


def test_a_grid_has_as_many_numbers_in_every_cell() -> None:
    with pytest.raises(InputError, match=r"latent_size: expected a multiple of 64 .* found 32"):
        VAEConfig(latent_size=32, architecture="grid")


def test_kl_is_that_of_torch_distributions() -> None:
    posterior = Posterior(torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64))
    own = torch.distributions.Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance))
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(posterior.kl(), expected.double())


def test_frames_survive_the_way_to_images_and_back() -> None:
    frames = torch.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).to(torch.uint8)
    assert torch.equal(to_frames(to_images(frames)), frames)


def test_calibrated_loss_follows_the_logarithm_of_the_error() -> None:
    vae = VAE(VAEConfig(latent_size=64, widths=(4, 8, 8), beta=0.0))
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    loss = vae.loss(frames, torch.zeros(4, 64))
    images = to_images(frames)
    mse = (vae.decode(vae.encode(frames).mean) - images).square().mean()
    torch.testing.assert_close(loss.total, 0.5 * 64 * 64 * 3 * torch.log(mse), rtol=1e-5, atol=1e-2)


def test_training_makes_one_batch_recognisable() -> None:
    torch.manual_seed(0)
    vae = VAE(VAEConfig(latent_size=64, widths=(8, 16, 16)))
    frames = torch.zeros(8, 64, 64, 3, dtype=torch.uint8)
    for row in range(8):
        frames[row, 8 * row : 8 * row + 8] = 200
    optimiser = torch.optim.Adam(vae.parameters(), lr=3e-3)
    first = vae.loss(frames).mse.item()
    for _ in range(150):
        optimiser.zero_grad()
        vae.loss(frames).total.backward()
        optimiser.step()
    assert vae.loss(frames).mse.item() < first / 10


def test_landmarks_teach_the_first_numbers_of_a_latent_and_no_others() -> None:
    torch.manual_seed(0)
    vae = VAE(VAEConfig(latent_size=16, architecture="flat", widths=(4, 8, 8)))
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    told, noise = torch.randn(4, 3), torch.zeros(4, 16)
    plain, taught = vae.loss(frames, noise), vae.loss(frames, noise, landmarks=told, landmark_weight=7.0)
    posterior = vae.encode(frames)
    squares = (posterior.mean[:, :3] - told).square()
    expected = 7.0 * (squares + posterior.log_variance[:, :3].exp()).sum(dim=1).mean()
    torch.testing.assert_close(taught.total - plain.total, expected, rtol=1e-4, atol=1e-2)
    assert taught.landmarks is not None
    torch.testing.assert_close(taught.landmarks, squares.mean(dim=0).detach())
    assert plain.landmarks is None

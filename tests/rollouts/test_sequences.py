from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_world_model.config import VAEConfig
from mario_world_model.emulation.landmarks import landmarks_of
from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.frames import FramePool
from mario_world_model.rollouts.latents import LatentEpisode, _write_cache, encode_dataset
from mario_world_model.rollouts.sequences import SequenceBatch, SequencePool, draw_starts, windows_of_epoch
from tests.rollouts.episodes import made_up_episode


def latent_episode(steps: int, first: float) -> LatentEpisode:
    """Latents count up from `first`, so that a frame can be told from its latent; ends in death."""
    mean = first + torch.arange(steps + 1.0).unsqueeze(1).repeat(1, 3)
    endings = torch.zeros(steps, 2)
    endings[-1, DEATH] = 1.0
    return LatentEpisode(
        Posterior(mean, torch.full_like(mean, -9.0)), torch.arange(steps) % 7, torch.ones(steps), endings
    )


def test_an_epoch_holds_every_step_and_every_death_once() -> None:
    episodes = [latent_episode(steps, 100.0 * number) for number, steps in enumerate((1, 7, 10, 11, 35))]
    for epoch in range(5):
        batches = list(SequencePool(episodes).batches(10, 3, np.random.default_rng(epoch)))
        assert sum(batch.endings[..., DEATH].sum().item() for batch in batches) == len(episodes)
        shown = [latent for batch in batches for latent in batch.posterior.mean[:, :-1, 0][batch.mask > 0].tolist()]
        assert sorted(shown) == sorted(
            latent for episode in episodes for latent in episode.posterior.mean[:-1, 0].tolist()
        )


def test_deaths_fall_on_every_step_of_a_window_alike() -> None:
    episodes = [latent_episode(20, 0.0) for _ in range(2000)]
    windows = windows_of_epoch(episodes, 5, np.random.default_rng(0)).tolist()
    lengths = [steps for _, first, steps in windows if first + steps == 20]
    assert set(lengths) == {1, 2, 3, 4, 5}
    for length in range(1, 6):
        assert 0.15 < lengths.count(length) / len(lengths) < 0.25


def test_windows_are_cut_where_they_say_and_padding_is_masked() -> None:
    episodes = [latent_episode(4, 100.0), latent_episode(30, 200.0)]
    batch = SequencePool(episodes).cut(np.array([(0, 0, 4), (1, 5, 10)]), length=10)
    assert batch.mask.sum(1).tolist() == [4.0, 10.0]
    assert batch.posterior.mean[0, :5, 0].tolist() == [100, 101, 102, 103, 104]
    assert batch.posterior.mean[1, :, 0].tolist() == list(range(205, 216))
    assert batch.actions[1].tolist() == [step % 7 for step in range(5, 15)]
    assert batch.endings[0, 3, DEATH] == 1
    assert batch.endings[1].sum() == 0
    assert not batch.rewards[0, 4:].any()


def plainly(episodes: list[LatentEpisode], windows: list[tuple[int, int, int]], length: int) -> SequenceBatch:
    """Windows cut out one by one."""
    size = episodes[0].posterior.mean.shape[1]
    mean, log_variance = torch.zeros(2, len(windows), length + 1, size).unbind()
    actions = torch.zeros(len(windows), length, dtype=torch.int64)
    rewards, mask = torch.zeros(2, len(windows), length).unbind()
    endings = torch.zeros(len(windows), length, 2)
    for row, (number, first, steps) in enumerate(windows):
        episode, until = episodes[number], first + steps
        mean[row, : steps + 1] = episode.posterior.mean[first : until + 1]
        log_variance[row, : steps + 1] = episode.posterior.log_variance[first : until + 1]
        actions[row, :steps] = episode.actions[first:until]
        rewards[row, :steps] = episode.rewards[first:until]
        endings[row, :steps] = episode.endings[first:until]
        mask[row, :steps] = 1.0
    return SequenceBatch(Posterior(mean, log_variance), actions, rewards, endings, mask)


def tensors_of(batch: SequenceBatch) -> tuple[torch.Tensor, ...]:
    posterior = batch.posterior
    return posterior.mean, posterior.log_variance, batch.actions, batch.rewards, batch.endings, batch.mask


def assert_same(batch: SequenceBatch, other: SequenceBatch) -> None:
    for one, expected in zip(tensors_of(batch), tensors_of(other), strict=True):
        assert one.dtype == expected.dtype
        assert torch.equal(one, expected)


def random_episode(steps: int, seed: int) -> LatentEpisode:
    luck = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, steps + 1, 5, generator=luck).unbind()
    actions = torch.randint(7, (steps,), generator=luck)
    rewards, endings = torch.randn(steps, generator=luck), torch.rand(steps, 2, generator=luck)
    return LatentEpisode(Posterior(mean, log_variance), actions, rewards, endings, from_level=seed % 2 == 0)


def test_windows_are_the_same_as_cut_one_by_one() -> None:
    episodes = [random_episode(steps, seed) for seed, steps in enumerate((1, 7, 10, 11, 35, 64))]
    pool = SequencePool(episodes)
    for seed in range(3):
        windows = one_by_one(episodes, 10, np.random.default_rng(seed))
        expected = [plainly(episodes, windows[first : first + 4], 10) for first in range(0, len(windows), 4)]
        for skip in (0, 2):
            batches = list(pool.batches(10, 4, np.random.default_rng(seed), skip))
            for batch, other in zip(batches, expected[skip:], strict=True):
                assert_same(batch, other)
    inside = [(number, first, 10) for number, one in enumerate(episodes) for first in range(0, len(one), 10)]
    inside = [(number, first, min(10, len(episodes[number]) - first)) for number, first, _ in inside]
    assert_same(pool.in_order(10), plainly(episodes, inside, 10))
    for one, episode in zip(pool.episodes, episodes, strict=True):
        assert one.from_level == episode.from_level
        assert_same(plainly([one], [(0, 0, len(one))], 64), plainly([episode], [(0, 0, len(episode))], 64))


def one_by_one(episodes: list[LatentEpisode], length: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    windows = []
    for number, episode in enumerate(episodes):
        cuts = [0, *range(int(rng.integers(1, length + 1)), len(episode), length), len(episode)]
        windows += [(number, first, last - first) for first, last in itertools.pairwise(cuts)]
    rng.shuffle(windows)
    return windows


def test_starts_hold_the_steps_that_led_there() -> None:
    episodes = [latent_episode(30, 1000.0 * (1 + number)) for number in range(6)]
    starts = draw_starts(episodes, count=40, warmup=5, rng=np.random.default_rng(0))
    assert len(starts) == 40
    assert (starts.lengths == 0).sum() >= 5
    for row in range(40):
        length = int(starts.lengths[row])
        real = starts.latents[row, 5 - length :, 0]
        assert torch.equal(real, real[-1] - torch.arange(length, -1, -1.0))
        frame = int(real[-1]) % 1000
        assert frame < 30
        assert length == min(frame, 5)
        assert starts.actions[row, 5 - length :].tolist() == [step % 7 for step in range(frame - length, frame)]


def test_a_single_step_from_elsewhere_is_no_start_of_the_level() -> None:
    """Mario set down in front of what kills him at once: a dream from there would pass for the start of the level."""
    doomed = dataclasses.replace(latent_episode(1, 900.0), from_level=False)
    episodes = [latent_episode(20, 0.0), doomed, dataclasses.replace(latent_episode(9, 300.0), from_level=False)]
    starts = draw_starts(episodes, 64, 4, np.random.default_rng(0))
    beginnings = starts.latents[starts.lengths == 0, -1, 0]
    assert beginnings.tolist() == [0.0] * len(beginnings)
    assert len(draw_starts([doomed], 8, 4, np.random.default_rng(0))) == 8


def test_dreams_begin_at_the_start_of_the_level_or_with_something_to_remember() -> None:
    level = latent_episode(30, 1000.0)
    elsewhere = dataclasses.replace(latent_episode(30, 2000.0), from_level=False)
    starts = draw_starts([level, elsewhere], count=200, warmup=5, rng=np.random.default_rng(0))
    begun = starts.latents[:, -1, 0] < 2000.0
    assert (starts.lengths[begun] == 0).any()
    assert (starts.lengths[~begun] == 5).all()


def test_latents_are_encoded_once_and_again_when_data_or_vae_change(tmp_path: Path) -> None:
    vae = VAE(VAEConfig(latent_size=64, widths=(4, 4, 4))).eval()
    episodes = [made_up_episode(0, steps=5), made_up_episode(1, steps=3, flag=True)]
    dataset = Dataset(tmp_path / "d", episodes)
    cpu = torch.device("cpu")
    first = encode_dataset(dataset, vae, "v1", cpu)
    cache = tmp_path / "d.latents.safetensors"
    written = cache.stat().st_mtime_ns
    again = encode_dataset(dataset, vae, "v1", cpu)
    assert cache.stat().st_mtime_ns == written
    for one, other, episode in zip(first, again, episodes, strict=True):
        assert torch.equal(one.posterior.mean, other.posterior.mean)
        with torch.inference_mode():
            expected = vae.encode(torch.from_numpy(episode.frames[:])).mean
        torch.testing.assert_close(one.posterior.mean, expected)
    assert first[0].endings[-1, DEATH] == 1
    assert first[1].endings[-1, FLAG] == 1
    encode_dataset(dataset, vae, "v2", cpu)
    assert cache.stat().st_mtime_ns > written
    cache.write_bytes(b"damaged")
    encode_dataset(Dataset(tmp_path / "d", episodes[:1]), vae, "v2", cpu)


def test_latents_with_a_flipped_bit_or_of_other_shapes_are_encoded_again(tmp_path: Path) -> None:
    vae = VAE(VAEConfig(latent_size=64, widths=(4, 4, 4))).eval()
    dataset = Dataset(tmp_path / "d", [made_up_episode(0, steps=5), made_up_episode(1, steps=3)])
    cache = tmp_path / "d.latents.safetensors"
    sound = encode_dataset(dataset, vae, "v", torch.device("cpu"))
    flipped = bytearray(cache.read_bytes())
    flipped[-10] ^= 64
    cache.write_bytes(flipped)
    assert_alike(encode_dataset(dataset, vae, "v", torch.device("cpu")), sound)
    assert cache.read_bytes() != flipped
    # A cache that is whole, but of shorter episodes, or of smaller latents.
    hashes = [episode.info.sha256 for episode in dataset.episodes]
    for lengths, size in (((1, 9), 64), ((6, 4), 32)):
        parts = [Posterior(torch.zeros(length, size), torch.zeros(length, size)) for length in lengths]
        _write_cache(cache, "v", dict(zip(hashes, parts, strict=True)))
        assert_alike(encode_dataset(dataset, vae, "v", torch.device("cpu")), sound)


def assert_alike(found: list[LatentEpisode], expected: list[LatentEpisode]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.posterior.mean, other.posterior.mean)
        assert torch.equal(one.posterior.log_variance, other.posterior.log_variance)


@pytest.mark.parametrize("resident", [False, True])
def test_the_frame_pool_gives_every_frame_once_an_epoch(monkeypatch: pytest.MonkeyPatch, resident: bool) -> None:
    if resident:  # as on a GPU: any device but "the CPU" will do
        monkeypatch.setattr("mario_world_model.rollouts.frames.home_for", lambda *_: torch.device("cpu:0"))
    episodes = [made_up_episode(index, steps=steps) for index, steps in enumerate((3, 1, 8))]
    episodes[1].frames.flags.writeable = False  # type: ignore[attr-defined]
    pool = FramePool(episodes)
    assert len(pool) == 4 + 2 + 9
    every = torch.from_numpy(np.concatenate([episode.frames[:] for episode in episodes]))
    assert torch.equal(pool.take(torch.arange(15)).frames, every)
    order = np.random.default_rng(3).permutation(15)
    (rest,) = pool.batches(7, np.random.default_rng(3), skip=1)
    assert torch.equal(rest.frames, every[order[7:14]])
    batches = list(pool.batches(5, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [5, 5, 5]
    shown = {frame.numpy().tobytes() for batch in batches for frame in batch.frames}
    assert shown == {frame.numpy().tobytes() for frame in every}
    there = torch.from_numpy(np.concatenate([landmarks_of(episode.truth) for episode in episodes]))
    for batch in batches:
        for part in batch.split(2):
            for frame, landmarks in zip(part.frames, part.landmarks, strict=True):
                assert torch.equal(landmarks, there[int((every == frame).all(dim=(1, 2, 3)).nonzero()[0])])
    assert len(list(pool.batches(100, np.random.default_rng(0)))) == 1

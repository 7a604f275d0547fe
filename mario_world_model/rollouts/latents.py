"""The latents of a data set: every frame encoded once, kept beside the data set until V or data change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mario_world_model.models.mdn_rnn import DEATH, ENDINGS, FLAG
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.devices import moved

_SCHEMA = "1"
_BATCH = 256


@dataclass(frozen=True)
class LatentEpisode:
    """An episode of T steps in latent form."""

    posterior: Posterior
    """Of the T + 1 frames, (T + 1, Z)."""
    actions: Tensor
    """int64 (T,)."""
    rewards: Tensor
    """float32 (T,)."""
    endings: Tensor
    """float32 (T, 2): 1 at the step that ended in death [0] or at the flag [1]."""
    from_level: bool = True
    """Whether it began at the start of the level."""

    def __len__(self) -> int:
        return len(self.actions)


def encode_dataset(dataset: Dataset, vae: VAE, vae_fingerprint: str, device: torch.device) -> list[LatentEpisode]:
    """Latent form of every episode, from the cache beside the data set; only new episodes are encoded."""
    cache = dataset.path.with_name(dataset.path.name + ".latents.safetensors")
    known = _read_cache(cache, vae_fingerprint)
    there = [
        (known[one.info.sha256], (len(one) + 1, vae.config.latent_size))
        for one in dataset.episodes
        if one.info.sha256 in known
    ]
    if any(not posterior.mean.shape == posterior.log_variance.shape == shape for posterior, shape in there):
        known = {}  # of other episodes or of another V, whatever it says
    posteriors = {}
    for episode in dataset.episodes:
        sha256 = episode.info.sha256
        posteriors[sha256] = known[sha256] if sha256 in known else _encode(episode, vae.to(device).eval(), device)
    if list(posteriors) != list(known):
        _write_cache(cache, vae_fingerprint, posteriors)
    return [_latent_episode(episode, posteriors[episode.info.sha256]) for episode in dataset.episodes]


def _latent_episode(episode: Episode, posterior: Posterior) -> LatentEpisode:
    endings = torch.zeros(len(episode), ENDINGS)
    endings[-1, DEATH] = float(episode.died)
    endings[-1, FLAG] = float(episode.reached_flag)
    return LatentEpisode(
        posterior=posterior,
        actions=torch.from_numpy(episode.actions.astype(np.int64)),
        rewards=torch.from_numpy(np.array(episode.rewards)),
        endings=endings,
        from_level=episode.info.start == "level",
    )


def _write_cache(cache: Path, vae_fingerprint: str, posteriors: dict[str, Posterior]) -> None:
    """One file for all episodes, their hashes and lengths in its header."""
    tensors = {
        "mean": torch.cat([posterior.mean for posterior in posteriors.values()]),
        "log_variance": torch.cat([posterior.log_variance for posterior in posteriors.values()]),
    }
    frames = {sha256: len(posterior.mean) for sha256, posterior in posteriors.items()}
    about = {"schema": _SCHEMA, "vae": vae_fingerprint, "frames": json.dumps(frames), "sha256": _sha256(tensors)}
    with written_whole(cache) as temporary:
        save_file(tensors, temporary, metadata=about)


def _sha256(tensors: dict[str, Tensor]) -> str:
    """Of both tensors; without it a flipped bit would go unnoticed into M."""
    digest = hashlib.sha256()
    for name in ("mean", "log_variance"):
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def _read_cache(cache: Path, vae_fingerprint: str) -> dict[str, Posterior]:
    """Posteriors by episode hash, in the order of the file; none of another V's."""
    try:
        with safe_open(cache, framework="pt") as file:
            metadata = file.metadata() or {}
            if (metadata.get("schema"), metadata.get("vae")) != (_SCHEMA, vae_fingerprint):
                return {}
            frames: dict[str, int] = json.loads(metadata["frames"])
            tensors = {name: file.get_tensor(name) for name in ("mean", "log_variance")}
        if metadata.get("sha256") != _sha256(tensors):
            return {}
        means, log_variances = (tensor.split(list(frames.values())) for tensor in tensors.values())
        parts = zip(means, log_variances, strict=True)
        return {sha256: Posterior(*part) for sha256, part in zip(frames, parts, strict=True)}
    except Exception:
        # A cache is a convenience: one that is missing, or damaged in whatever way, is made again.
        return {}


@torch.no_grad()
def _encode(episode: Episode, vae: VAE, device: torch.device) -> Posterior:
    means, log_variances = [], []
    for first in range(0, len(episode) + 1, _BATCH):
        frames: NDArray[np.uint8] = np.ascontiguousarray(episode.frames[first : first + _BATCH])
        posterior = vae.encode(moved(torch.from_numpy(frames), device))
        means.append(posterior.mean)
        log_variances.append(posterior.log_variance)
    return Posterior(torch.cat(means).cpu(), torch.cat(log_variances).cpu())

"""The latents of a data set: every frame encoded once, kept beside the data set until V or data change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mario_world_model.models.mdn_rnn import DEATH, ENDINGS, FLAG
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.utils.atomic import written_whole

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

    def __len__(self) -> int:
        return len(self.actions)


def encode_dataset(dataset: Dataset, vae: VAE, vae_fingerprint: str, device: torch.device) -> list[LatentEpisode]:
    """Latent form of every episode, from the cache beside the data set when it is up to date."""
    cache = dataset.path.with_name(dataset.path.name + ".latents.safetensors")
    wanted = {"dataset": dataset.fingerprint, "vae": vae_fingerprint}
    posterior = _read_cache(cache, wanted)
    if posterior is None:
        posterior = _encode(dataset, vae.to(device).eval(), device)
        with written_whole(cache) as temporary:
            tensors = {"mean": posterior.mean, "log_variance": posterior.log_variance}
            save_file(tensors, temporary, metadata=wanted)
    episodes, first = [], 0
    for episode in dataset.episodes:
        last = first + len(episode) + 1
        endings = torch.zeros(len(episode), ENDINGS)
        endings[-1, DEATH] = float(episode.died)
        endings[-1, FLAG] = float(episode.reached_flag)
        episodes.append(
            LatentEpisode(
                posterior=Posterior(posterior.mean[first:last], posterior.log_variance[first:last]),
                actions=torch.from_numpy(episode.actions.astype(np.int64)),
                rewards=torch.from_numpy(np.array(episode.rewards)),
                endings=endings,
            )
        )
        first = last
    return episodes


def _read_cache(cache: Path, wanted: dict[str, str]) -> Posterior | None:
    try:
        with safe_open(cache, framework="pt") as file:
            if file.metadata() != wanted:
                return None
            return Posterior(file.get_tensor("mean"), file.get_tensor("log_variance"))
    except (SafetensorError, OSError):
        # A cache is a convenience: one that is missing or damaged is made again.
        return None


@torch.no_grad()
def _encode(dataset: Dataset, vae: VAE, device: torch.device) -> Posterior:
    means, log_variances = [], []
    for episode in dataset.episodes:
        for first in range(0, len(episode) + 1, _BATCH):
            frames: NDArray[np.uint8] = np.ascontiguousarray(episode.frames[first : first + _BATCH])
            posterior = vae.encode(torch.from_numpy(frames).to(device))
            means.append(posterior.mean.cpu())
            log_variances.append(posterior.log_variance.cpu())
    return Posterior(torch.cat(means), torch.cat(log_variances))

"""The same actions in the game and in a dream: a filmstrip and a video of the two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model.models.mixture import draw_noise
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.episode import Episode
from mario_world_model.utils.video import difference, enlarge, side_by_side

Frames = NDArray[np.uint8]
_STRIP_STEPS = (0, 2, 4, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class Comparison:
    """T steps three ways, each uint8 (T + 1, 64, 64, 3)."""

    reality: Frames
    reconstruction: Frames
    """Reality through V alone."""
    dream: Frames
    """Begun in the first frame of reality, then fed its actions and its own latents."""


@torch.no_grad()
def compare(
    world_model: WorldModel, episode: Episode, first: int, steps: int, temperature: float, seed: int
) -> Comparison:
    """Dream `steps` steps of an episode from frame `first` on, the memory filled by all that came before."""
    device = world_model.device
    last = min(first + steps, len(episode))
    reality = np.ascontiguousarray(episode.frames[: last + 1])
    latents = torch.cat([world_model.encode(part.to(device)) for part in torch.from_numpy(reality).split(256)])
    actions = torch.from_numpy(episode.actions[:last].astype(np.int64)).to(device)
    memory = world_model.mdn_rnn.initial_memory(1)
    for step in range(first):
        memory = world_model.remember(latents[step : step + 1], actions[step : step + 1], memory)
    luck = torch.Generator(device=device).manual_seed(seed)
    network = world_model.mdn_rnn
    dreamt = [latents[first : first + 1]]
    for step in range(first, last):
        noise = draw_noise((1,), network.config.mixtures, network.choices, network.latent_size, luck)
        action = actions[step : step + 1]
        imagined, memory = world_model.imagine(dreamt[-1], action, memory, noise, temperature)
        dreamt.append(imagined.latents)
    return Comparison(
        reality=reality[first:],
        reconstruction=world_model.decode(latents[first:]).cpu().numpy(),
        dream=world_model.decode(torch.cat(dreamt)).cpu().numpy(),
    )


def filmstrip(world_model: WorldModel, episode: Episode, scale: int = 2) -> Frames:
    """Reality above the dream, at growing distances from the first frame of an episode, uint8 (H, W, 3)."""
    seen = compare(world_model, episode, 0, _STRIP_STEPS[-1], temperature=0.0, seed=0)
    columns = [
        np.concatenate([enlarge(seen.reality[step], scale), enlarge(seen.dream[step], scale)])
        for step in _STRIP_STEPS
        if step < len(seen.dream)
    ]
    return side_by_side(columns)


def video_frames(comparison: Comparison, scale: int = 4) -> Iterator[Frames]:
    """Reality, its reconstruction, the dream and how far the two last differ next to each other, one frame a step."""
    for reality, seen, dream in zip(comparison.reality, comparison.reconstruction, comparison.dream, strict=True):
        pictures = (reality, seen, dream, difference(dream, seen))
        yield side_by_side([enlarge(picture, scale) for picture in pictures], gap=8)

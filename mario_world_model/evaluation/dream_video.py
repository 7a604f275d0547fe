"""Watch a controller dream, or the game beside its dream.

mario-world-model dream --pretrained --video dream.mp4
mario-world-model dream --pretrained --dataset data/mario_rollouts.pkl --video beside.mp4
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model import pretrained
from mario_world_model.checkpoints import load_controller, load_world_model
from mario_world_model.command import run_command
from mario_world_model.config import DreamConfig, DreamVideoConfig
from mario_world_model.dream import Dream
from mario_world_model.errors import InputError
from mario_world_model.evaluation.dream_beside_reality import compare, video_frames
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.utils.video import enlarge, write_video

_SCALE = 6
_FRAMES_PER_SECOND = 60


def dream_video(config: DreamVideoConfig) -> int:
    """Write the video of a configuration; returns the steps in it."""
    vae, mdn_rnn, path = (
        (pretrained.VAE, pretrained.MDN_RNN, pretrained.CONTROLLER)
        if config.pretrained
        else (config.vae, config.mdnrnn, config.controller)
    )
    world_model, fingerprint = load_world_model(vae, mdn_rnn)
    if config.dataset is not None:
        frames = list(_beside_reality(config, world_model, open_dataset(config.dataset)))
    else:
        frames = list(dreamt_frames(config, world_model, load_controller(path, world_model, fingerprint)))
    write_video(config.video, frames, _FRAMES_PER_SECOND / world_model.controls.frame_skip)
    return len(frames) - 1


def dreamt_frames(
    config: DreamVideoConfig, world_model: WorldModel, controller: Controllers
) -> Iterator[NDArray[np.uint8]]:
    """Frames of dreams that the controller plays from where the level begins, the next when one has ended."""
    settings = DreamConfig(temperature=config.temperature, horizon=config.steps, level_starts=1.0)
    dream = Dream(world_model, settings, candidates=1, starts=1)
    luck = torch.Generator().manual_seed(config.seed)
    shown, number = 0, 0
    while shown <= config.steps:
        features, _ = dream.reset(config.seed + number)
        number, over = number + 1, False
        yield enlarge(dream.frames()[0, 0].numpy(), _SCALE)
        shown += 1
        while not over and shown <= config.steps:
            gumbel = draw_gumbel((world_model.mdn_rnn.actions,), luck)
            features, _, terminated, truncated, _ = dream.step(controller.act(features, gumbel))
            yield enlarge(dream.frames()[0, 0].numpy(), _SCALE)
            shown, over = shown + 1, bool(terminated | truncated)


def _beside_reality(config: DreamVideoConfig, world_model: WorldModel, dataset: Dataset) -> Iterator[NDArray[np.uint8]]:
    if config.episode is None:
        held_out = dataset.split()[1]
        number = max(held_out, key=lambda index: int(dataset.episodes[index].column("x").max()))
    else:
        number = config.episode
    if number >= len(dataset.episodes) or len(dataset.episodes[number]) <= config.first:
        raise InputError(
            f"{dataset.path}: expected an episode {number} with more than {config.first} steps, "
            f"found {len(dataset.episodes)} episodes, the longest of {max(map(len, dataset.episodes))} steps"
        )
    episode = dataset.episodes[number]
    yield from video_frames(compare(world_model, episode, config.first, config.steps, config.temperature, config.seed))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(DreamVideoConfig, _report, "mario-world-model dream", arguments)


def _report(config: DreamVideoConfig) -> None:
    print(f"{config.video}: {dream_video(config)} steps")


if __name__ == "__main__":
    sys.exit(main())

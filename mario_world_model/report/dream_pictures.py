"""The game beside its dream: a filmstrip, and a video small enough to travel inside a page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mario_world_model.checkpoints import load_world_model
from mario_world_model.errors import InputError
from mario_world_model.evaluation.dream_beside_reality import compare, filmstrip, video_frames
from mario_world_model.report.document import Block, Figure
from mario_world_model.report.level_map import png
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.utils.video import write_video

_FIRST, _STEPS = 8, 90


def dream_pictures(vae: Path, mdn_rnn: Path, dataset: Dataset) -> list[Block]:
    """Filmstrip and four-up video of the held-out episode from the start of the level that got furthest.

    Raises InputError where no such episode is long enough.
    """
    world_model, _ = load_world_model(vae, mdn_rnn)
    held_out = [dataset.episodes[number] for number in dataset.split()[1]]
    whole = [one for one in held_out if one.info.start == "level" and len(one) > 2 * _FIRST]
    if not whole:
        raise InputError(f"{dataset.path}: expected a held-out episode from the start of the level, found none")
    episode = max(whole, key=_furthest)
    seen = compare(world_model, episode, _FIRST, _STEPS, temperature=1.0, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "dream.mp4"
        write_video(video, video_frames(seen, scale=2), 60 / episode.info.frame_skip)
        content = video.read_bytes()
    steps = len(seen.reality) - 1
    return [
        Figure(
            "dream_strip",
            "Above, the game; below, the dream (likeliest path) that began in the first frame and was fed the same "
            "actions: 0, 2, 4, 8, 12, 16, 24 and 32 steps after it began.",
            png(filmstrip(world_model, episode)),
            "png",
            wide=True,
        ),
        Figure(
            "dream_four_up",
            f"Real game, its reconstruction, the dream at temperature 1 and how far the last two differ: {steps} steps "
            f"of a held-out episode, dreamt from its step {_FIRST} on.",
            content,
            "mp4",
            wide=True,
        ),
    ]


def _furthest(episode: Episode) -> int:
    return int(episode.column("x").max())

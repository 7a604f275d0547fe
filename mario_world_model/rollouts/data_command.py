"""What a data set holds, and its way to Minari and back.

mario-world-model data info data/mario_rollouts.pkl
mario-world-model data export data/mario_rollouts.pkl --minari mario/level-1-1-v0 --minari-root exported
mario-world-model data import data/again --minari mario/level-1-1-v0 --minari-root exported
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from tyro.conf import Positional

from mario_world_model.command import run_command
from mario_world_model.config import DataSet
from mario_world_model.errors import InputError
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.minari_dataset import export_minari, import_minari
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.video import enlarge, side_by_side

_BARS = 16
_BAR_WIDTH = 40
_STRIP_FRAMES = 8


@dataclass(frozen=True)
class DataConfig:
    """Show episodes, steps, lengths, how far they went, deaths, flags and policies of a data set; make one of
    Minari's of it, or one of ours of that.

    Minari is no part of the installation: `pip install "minari[hdf5]"`.
    """

    action: Positional[Literal["info", "export", "import"]] = "info"
    """What to do with it: look into it, write it for Minari, or make it of what was written so."""
    path: Positional[DataSet] = Path("data/mario_rollouts.pkl")
    """A .pkl data set, a folder of episodes or one in an object store; with import, what is to become one."""
    minari: str | None = None
    """Name of the data set in Minari, as mario/level-1-1-v0."""
    minari_root: Path | None = None
    """Folder with Minari's data sets; default: MINARI_DATASETS_PATH, or ~/.minari/datasets as Minari has it."""
    skip_damaged: bool = False
    """Leave out episodes that are damaged, each named; otherwise the first one ends the command."""
    strip: Path | None = None
    """Where to write the frame strip; default: <path>.png, of a data set in a store in this folder."""


def describe_dataset(dataset: Dataset) -> str:
    """The text of `data info`."""
    episodes = dataset.episodes
    info = episodes[0].info
    furthest = [int(episode.column("x").max()) for episode in episodes]
    lines = [
        f"{dataset.path}: {len(episodes)} episodes, {dataset.steps} steps, {dataset.steps * info.frame_skip} frames",
        f"  controls   {info.actions}, frame skip {info.frame_skip}, HUD {'masked' if info.mask_hud else 'shown'}",
        f"  games      {_counts([episode.info.env for episode in episodes])}",
        f"  policies   {_counts([episode.info.policy for episode in episodes])}",
        f"  emulators  {_counts([episode.info.backend for episode in episodes])}",
        f"  endings    {sum(episode.died for episode in episodes)} deaths, "
        f"{sum(episode.reached_flag for episode in episodes)} flags, "
        f"{sum(episode.info.truncated for episode in episodes)} cut off",
        "",
        _histogram("steps per episode", [len(episode) for episode in episodes]),
        _histogram("furthest x", furthest),
    ]
    return "\n".join(lines)


def frame_strip(dataset: Dataset) -> NDArray[np.uint8]:
    """Frames spread evenly over the longest episode, uint8 (H, W, 3)."""
    episode = max(dataset.episodes, key=len)
    chosen = np.linspace(0, len(episode), _STRIP_FRAMES).astype(int)
    return side_by_side([enlarge(episode.frames[frame : frame + 1][0], 2) for frame in chosen])


def _counts(values: Sequence[str]) -> str:
    return ", ".join(f"{value} × {count}" for value, count in Counter(values).most_common())


def _histogram(title: str, values: Sequence[int]) -> str:
    counts, edges = np.histogram(values, bins=min(_BARS, max(values) - min(values) + 1))
    lines = [f"  {title}: mean {np.mean(values):.0f}, median {np.median(values):.0f}, most {max(values)}"]
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        bar = "█" * round(_BAR_WIDTH * count / counts.max())
        lines.append(f"    {low:6.0f} – {high:6.0f}  {bar} {count}")
    return "\n".join(lines)


def _act(config: DataConfig) -> None:
    if config.action == "info":
        _show(open_dataset(config.path, config.skip_damaged), config)
        return
    if config.minari is None:
        raise InputError(f"data {config.action}: expected --minari NAME, found none")
    if config.action == "export":
        dataset = open_dataset(config.path, config.skip_damaged)
        print(export_minari(dataset, config.minari, config.minari_root))
    else:
        if not isinstance(config.path, Path):
            raise InputError(f"data import: expected a path of this machine, found {config.path}")
        import_minari(config.minari, config.minari_root, config.path)
        dataset = open_dataset(config.path)
        print(f"{dataset.path}: {len(dataset.episodes)} episodes, {dataset.steps} steps")


def _show(dataset: Dataset, config: DataConfig) -> None:
    print(describe_dataset(dataset))
    beside = config.path if isinstance(config.path, Path) else Path(config.path.name)
    strip = config.strip or beside.with_name(beside.name + ".png")
    with written_whole(strip) as temporary:
        iio.imwrite(temporary, frame_strip(dataset))
    print(strip)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(DataConfig, _act, "mario-world-model data", arguments)


if __name__ == "__main__":
    sys.exit(main())

"""Scalars and pictures of a run: TensorBoard and the same scalars as JSON lines."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from mario_world_model.config import to_plain
from mario_world_model.utils.atomic import written_whole


class Tracker:
    """Log of one stage, in logs/<stage>/<date-time>/."""

    def __init__(self, logs: Path, stage: str, config: object) -> None:
        self.folder = logs / stage / time.strftime("%Y%m%d-%H%M%S")
        self._writer = SummaryWriter(str(self.folder))
        (self.folder / "config.json").write_text(json.dumps(to_plain(config), indent=2) + "\n")
        self._lines = (self.folder / "scalars.jsonl").open("a")

    def scalars(self, step: int, **values: float) -> None:
        """Record named figures at a step; a double underscore in a name becomes a slash."""
        named = {name.replace("__", "/"): float(value) for name, value in values.items()}
        for name, value in named.items():
            self._writer.add_scalar(name, value, step)
        self._lines.write(json.dumps({"step": step, "time": round(time.time(), 3), **named}) + "\n")
        self._lines.flush()

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Record an image, uint8 (H, W, 3)."""
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._lines.close()


def save_config(output: Path, config: object) -> None:
    """Keep the merged configuration beside what it made, as <output>.json."""
    beside: Path = output.with_name(output.name + ".json")
    content: Any = {"stage": type(config).__name__, **to_plain(config)}
    with written_whole(beside) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")

"""A recording that a visitor takes home, as MP4 or GIF."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mario_world_model.playground.session import Shown
from mario_world_model.utils.video import difference, enlarge, side_by_side, write_video

Format = Literal["mp4", "gif"]
Picture = NDArray[np.uint8]

MOST_STEPS: Final = 900
"""A minute; the recording stops by itself."""
_SCALES: Final[dict[Format, int]] = {"mp4": 5, "gif": 3}


class Recording:
    """Steps in the order of play: game, dream and difference side by side, or the dream alone."""

    def __init__(self, form: Format, fps: float) -> None:
        self.form = form
        self._fps = fps
        # Small, as they are: a minute of enlarged ones would take most of a gigabyte.
        self._steps: list[list[Picture]] = []

    def add(self, shown: Shown, frame: Picture | None) -> None:
        """Take a step in, with what V gets of the game (64, 64, 3); one of another kind than the first is left out."""
        pictures = [shown.dream]
        if frame is not None and shown.reconstruction is not None:
            pictures = [frame, shown.dream, difference(shown.dream, shown.reconstruction)]
        if not self._steps or len(pictures) == len(self._steps[0]):
            self._steps.append(pictures)

    @property
    def full(self) -> bool:
        """Whether it is as long as one may be."""
        return len(self) >= MOST_STEPS

    def __len__(self) -> int:
        return len(self._steps)

    def content(self) -> bytes:
        """The file, of at least one step."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"recording.{self.form}"
            if self.form == "mp4":
                write_video(path, self._frames(), self._fps)
            else:
                frames = map(Image.fromarray, self._frames())
                # GIF counts in hundredths of a second.
                pause = round(100 / self._fps) * 10
                next(frames).save(path, save_all=True, append_images=frames, duration=pause, loop=0)
            return path.read_bytes()

    def _frames(self) -> Iterator[Picture]:
        scale = _SCALES[self.form]
        for pictures in self._steps:
            yield side_by_side([enlarge(picture, scale) for picture in pictures], gap=8)

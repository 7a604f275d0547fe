"""A recording that a visitor takes home: MP4 or GIF, made in memory's worth of a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final, Literal

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from mario_world_model.utils.video import write_video

Format = Literal["mp4", "gif"]
MOST_STEPS: Final = 900
"""A minute; the recording stops by itself."""


class Recording:
    """Pictures of equal size, in the order of play."""

    def __init__(self, form: Format, fps: float) -> None:
        self.form = form
        self._fps = fps
        self._pictures: list[NDArray[np.uint8]] = []

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Take one step's picture in, (H, W, 3) with even H and W, unless it differs in size from the first."""
        if not self._pictures or picture.shape == self._pictures[0].shape:
            self._pictures.append(picture)

    @property
    def full(self) -> bool:
        """Whether it is as long as one may be."""
        return len(self._pictures) >= MOST_STEPS

    def __len__(self) -> int:
        return len(self._pictures)

    def content(self) -> bytes:
        """The file."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"recording.{self.form}"
            if self.form == "mp4":
                write_video(path, self._pictures, self._fps)
            else:
                # GIF counts in hundredths of a second.
                iio.imwrite(path, np.stack(self._pictures), duration=round(100 / self._fps) * 10, loop=0)
            return path.read_bytes()

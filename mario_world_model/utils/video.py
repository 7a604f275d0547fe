"""MP4 files from frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from mario_world_model.utils.atomic import written_whole

Frame = NDArray[np.uint8]


def write_video(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write uint8 (H, W, 3) frames with even H and W as H.264, playable everywhere."""
    with written_whole(path) as temporary, iio.imopen(temporary, "w", plugin="pyav") as file:
        file.init_video_stream("libx264", fps=round(fps), pixel_format="yuv420p")
        for frame in frames:
            file.write_frame(frame)


def enlarge(frame: Frame, times: int) -> Frame:
    """Repeat every pixel of (H, W, C): sharp edges, as the console has them."""
    return frame.repeat(times, axis=0).repeat(times, axis=1)


def difference(one: Frame, other: Frame) -> Frame:
    """Where and how much two pictures differ, black where they agree."""
    apart: Frame = np.abs(one.astype(np.int16) - other).astype(np.uint8)
    return apart


def side_by_side(frames: list[Frame], gap: int = 4) -> Frame:
    """Frames of one height next to each other, a dark gap between them."""
    space = np.zeros((frames[0].shape[0], gap, 3), dtype=np.uint8)
    parts = [part for frame in frames for part in (frame, space)]
    return np.concatenate(parts[:-1], axis=1)

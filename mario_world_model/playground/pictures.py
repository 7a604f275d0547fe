"""From what a session shows to the parts of a message."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError
from mario_world_model.playground.session import Shown
from mario_world_model.playground.wire import Part

Picture = NDArray[np.uint8]

# A screen of the console has few colours and long runs: more effort than the least saves nothing.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def picture_parts(shown: Shown, smooth: bool) -> list[Part]:
    """The pictures and the latent of a step; with `smooth`, every frame of the game that belongs to it."""
    screens = shown.screens if smooth else shown.screens[-1:]
    parts = [("screen", png(screen)) for screen in screens]
    if shown.reconstruction is not None:
        parts.append(("reconstruction", shown.reconstruction.tobytes()))
    return [*parts, ("dream", shown.dream.tobytes()), ("latents", shown.latents.astype("<f4").tobytes())]


def png(screen: Picture) -> bytes:
    """A screen (H, W, 3) as PNG, which is exact."""
    done, content = cv2.imencode(".png", cv2.cvtColor(screen, cv2.COLOR_RGB2BGR), _PNG)
    if not done:
        raise InputError("screen: expected a picture that can be written as PNG, found another")
    return content.tobytes()

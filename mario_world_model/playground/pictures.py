"""From what a session shows to the bytes of one message, and to the pictures of a recording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError
from mario_world_model.playground.session import Shown
from mario_world_model.utils.video import enlarge, side_by_side

Picture = NDArray[np.uint8]
Part = tuple[str, bytes]

# A screen of the console has few colours and long runs: more effort than the least saves nothing.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
_RECORDED_SCALE = 5


def pack(header: dict[str, Any], parts: Sequence[Part]) -> bytes:
    """A message: the length of its header (4 bytes, little-endian), the header as JSON, and the parts it names.

    The header gains `parts`, a list of [name, bytes].
    """
    header = {**header, "parts": [[name, len(content)] for name, content in parts]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *(content for _, content in parts)])


def unpack(message: bytes) -> tuple[dict[str, Any], list[Part]]:
    """Header and parts of what `pack` made."""
    end = 4 + int.from_bytes(message[:4], "little")
    header: dict[str, Any] = json.loads(message[4:end])
    parts = []
    for name, length in header.pop("parts"):
        parts.append((name, message[end : end + length]))
        end += length
    return header, parts


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


def triptych(shown: Shown, frame: Picture | None) -> Picture:
    """Game (64, 64, 3), dream and difference next to each other, or the dream alone where there is no game."""
    pictures = [shown.dream]
    if frame is not None and shown.reconstruction is not None:
        pictures = [frame, shown.dream, difference(shown.dream, shown.reconstruction)]
    return side_by_side([enlarge(picture, _RECORDED_SCALE) for picture in pictures], gap=8)


def difference(dream: Picture, reconstruction: Picture) -> Picture:
    """Where and how much two pictures differ, black where they agree."""
    apart: Picture = np.abs(dream.astype(np.int16) - reconstruction).astype(np.uint8)
    return apart

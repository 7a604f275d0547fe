"""A window for watching the game; where there is no display, one warning and no window."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_SCALE = 2


class Window:
    """Shows pictures; opened by the first one."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._window: Any = None
        self._pyglet: Any = None
        self.blind = False
        """There is no display, or the user closed the window."""

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Draw ``picture``, (height, width, 3) uint8 RGB, at twice its size."""
        if self.blind:
            return
        height, width = picture.shape[:2]
        if self._window is None:
            try:
                self._pyglet = importlib.import_module("pyglet")
                self._window = self._pyglet.window.Window(
                    width * _SCALE, height * _SCALE, caption=self._title, vsync=False
                )
            # No display, no OpenGL and no pyglet raise errors of different kinds on each system.
            except Exception as error:
                logger.warning("no window for %s: %s", self._title, error or type(error).__name__)
                self.blind = True
                return
        window = self._window
        window.switch_to()
        window.dispatch_events()
        if window.context is None:  # the user closed it
            self.blind = True
            return
        image = self._pyglet.image.ImageData(width, height, "RGB", picture.tobytes(), pitch=-3 * width)
        image.blit(0, 0, width=width * _SCALE, height=height * _SCALE)
        window.flip()

    def close(self) -> None:
        """Take the window away."""
        if self._window is not None:
            self._window.close()
            self._window = None

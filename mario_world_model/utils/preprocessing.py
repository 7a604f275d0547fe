"""From a screen to what an agent sees; the only such path, for collection, dream, evaluation and page."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, SupportsFloat

import cv2
import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import ViewConfig
from mario_world_model.utils.area_resize import area_resize

# OpenCV's pool of threads gains nothing on pictures this small, and while it waits for the next one it
# spins beside the emulator: with it the emulator itself ran a quarter slower on two cores.
cv2.setNumThreads(0)

HUD_ROWS: Final = 24
"""Rows of the screen that the score line takes, from the top: two lines of 8-pixel letters from row 8 on."""

Pixels = NDArray[np.uint8]
Action = int | np.integer[Any]
"""Index into the action set."""


def view_shape(view: ViewConfig) -> tuple[int, int, int]:
    """Height, width and channels of what an agent sees."""
    return view.size, view.size, (1 if view.grey else 3) * view.stack


def preprocess(screen: Pixels, view: ViewConfig) -> Pixels:
    """One view of one screen, before stacking.

    Args:
        screen: (224, 240, 3) uint8 RGB; left as it is.
        view: Size, colour and mask; its ``stack`` plays no part here.

    Returns:
        (size, size, 1 or 3) uint8.
    """
    size = view.size
    picture: Pixels = np.asarray(cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)) if view.grey else screen
    small = area_resize(picture.reshape(*screen.shape[:2], -1), size)
    if view.mask_hud:
        # A row that the score line reaches at all is blanked, else the resize would leave a trace of it.
        small[: -(-HUD_ROWS * size // screen.shape[0])] = 0
    return small


class View:
    """Views of one episode, with the frames before the present one stacked in front of it."""

    def __init__(self, view: ViewConfig) -> None:
        self.config = view
        self._frames: deque[Pixels] = deque(maxlen=view.stack)

    def reset(self, screen: Pixels) -> Pixels:
        """First view of an episode, (size, size, C): the one screen stands for those before it."""
        self._frames.extend([preprocess(screen, self.config)] * self.config.stack)
        return self._stacked()

    def observe(self, screen: Pixels) -> Pixels:
        """Next view, (size, size, C), oldest frame first along the channels."""
        self._frames.append(preprocess(screen, self.config))
        return self._stacked()

    def frames(self) -> Pixels:
        """The frames that are stacked at present, (stack, size, size, C)."""
        return np.stack(self._frames)

    def put_back(self, frames: Pixels) -> None:
        """Take up what `frames` gave; raises ValueError when it belongs to another view."""
        size = self.config.size
        if frames.shape[:3] != (self.config.stack, size, size) or frames.dtype != np.uint8:
            raise ValueError(f"{frames.dtype} {frames.shape}")
        self._frames.extend(frames)

    def _stacked(self) -> Pixels:
        return self._frames[0] if len(self._frames) == 1 else np.concatenate(self._frames, axis=-1)


class ViewWrapper(gymnasium.Wrapper[Pixels, Action, Pixels, Action], gymnasium.utils.RecordConstructorArgs):
    """An environment of screens seen through a `View`."""

    def __init__(self, env: gymnasium.Env[Pixels, Action], view: ViewConfig) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, view=view)
        super().__init__(env)
        self.view = View(view)
        self.observation_space = gymnasium.spaces.Box(0, 255, view_shape(view), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        screen, info = self.env.reset(seed=seed, options=options)
        return self.view.reset(screen), info

    def step(self, action: Action) -> tuple[Pixels, SupportsFloat, bool, bool, dict[str, Any]]:
        screen, reward, terminated, truncated, info = self.env.step(action)
        return self.view.observe(screen), reward, terminated, truncated, info

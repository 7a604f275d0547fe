"""The protocol of whoever plays."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Policy(Protocol):
    """Chooses one action per step from whole screens, each in its own way of seeing."""

    def reset(self, rng: np.random.Generator) -> None:
        """Begin an episode; all of the policy's chance comes from `rng`."""

    def act(self, screen: NDArray[np.uint8]) -> int:
        """The action for a screen uint8 (224, 240, 3)."""

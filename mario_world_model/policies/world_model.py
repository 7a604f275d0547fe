"""The world-model agent as a policy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_world_model.models.agent import Agent
from mario_world_model.utils.preprocessing import View


class WorldModelPolicy:
    """V, M and C playing from screens."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._view = View(agent.world_model.controls.view)

    def reset(self, rng: np.random.Generator) -> None:
        self._agent.reset(int(rng.integers(2**31)))

    def act(self, screen: NDArray[np.uint8]) -> int:
        return self._agent.act(self._view.observe(screen))

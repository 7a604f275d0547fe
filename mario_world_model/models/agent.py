"""V, M and C playing together: frames in, actions out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model.models.controller import Controllers
from mario_world_model.models.mdn_rnn import Memory
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.world_model import WorldModel


@dataclass
class Agent:
    """One controller with the world model's eyes and memory.

    It remembers the action it chose; where sticky actions play another, it is not told.
    """

    world_model: WorldModel
    controller: Controllers
    _memory: Memory = field(init=False)
    _luck: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        """Forget the last episode; `seed` decides what is drawn in the next."""
        self._memory = self.world_model.mdn_rnn.initial_memory(1)
        self._luck = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def act(self, frame: NDArray[np.uint8]) -> int:
        """The action for a frame uint8 (64, 64, 3)."""
        batch = torch.from_numpy(np.ascontiguousarray(frame)).unsqueeze(0).to(self.world_model.device)
        latents = self.world_model.encode(batch)
        features = torch.cat([latents, self._memory.hidden], dim=1)
        # Drawn on the CPU, so that an episode is the same on every device.
        gumbel = draw_gumbel((self.world_model.mdn_rnn.actions,), self._luck).to(features.device)
        action = self.controller.act(features.unsqueeze(0), gumbel)[0]
        self._memory = self.world_model.remember(latents, action, self._memory)
        return int(action)

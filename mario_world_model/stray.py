"""An agent that now and then does something else for a while."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mario_world_model.models.agent import Agent


@dataclass
class StrayingAgent(Agent):
    """Plays what its controller chooses, and at times any action, held for some steps.

    A search in the dream tries held actions wherever the controller may get to, and takes the one that M thinks best
    of. There M has to have seen what comes of each, or it is chosen for M's errors. The controller's own episodes hold
    few of them, those of an agent that looks ahead mostly what M thinks well of; and these cost no dream.
    """

    holds: tuple[int, ...]
    """For how many steps an action may be held, each as often."""
    stray: float
    """Chance to begin with one, in a step in which none is held."""
    _own_luck: torch.Generator = field(init=False)
    _held: Tensor = field(init=False)
    _left: int = field(init=False)  # steps for which it goes on with `_held`

    def reset(self, seed: int) -> None:
        super().reset(seed)
        # Its own, so that the controller's choices are those of an agent that does not stray.
        self._own_luck = torch.Generator().manual_seed(seed)
        self._left = 0

    def _choose(self, latents: Tensor) -> Tensor:
        own = super()._choose(latents)
        if not self._left and float(torch.rand(1, generator=self._own_luck)) < self.stray:
            self._held = torch.randint(self.world_model.mdn_rnn.actions, (1,), generator=self._own_luck).to(own.device)
            self._left = self.holds[int(torch.randint(len(self.holds), (1,), generator=self._own_luck))]
        if not self._left:
            return own
        self._left -= 1
        return self._held

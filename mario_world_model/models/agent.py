"""V, M and C playing together: frames in, actions out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.models.controller import Controllers
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.vae import Posterior
from mario_world_model.models.world_model import WorldModel

# Nats by which the next frame has to speak for a repeated action before it is believed: the odds against one
# under sticky actions of 0.25.
_DOUBT = math.log(3.0)


@dataclass(frozen=True)
class _Step:
    latents: Tensor  # (1, Z), in which the action was chosen
    chosen: Tensor  # int64 (1,)
    before: Tensor  # int64 (1,), played one step earlier


@dataclass
class Agent:
    """One controller with the world model's eyes and memory.

    Sticky actions may play the action before instead of the chosen one, and nobody says so. M was
    trained on what was played; the agent therefore asks it, once the next frame is there, which of
    the two explains that frame better, and remembers that one.
    """

    world_model: WorldModel
    controller: Controllers
    _memory: Memory = field(init=False)
    _last: _Step | None = field(init=False)
    _luck: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        """Forget the last episode; `seed` decides what is drawn in the next."""
        self._memory = self.world_model.mdn_rnn.initial_memory(1)
        self._last = None
        self._luck = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def act(self, frame: NDArray[np.uint8]) -> int:
        """The action for a frame uint8 (64, 64, 3)."""
        batch = torch.from_numpy(np.ascontiguousarray(frame)).unsqueeze(0).to(self.world_model.device)
        posterior = self.world_model.vae.encode(batch)
        played = self._remember(posterior)
        action = self._choose(posterior.mean, played)
        self._last = _Step(posterior.mean, action, played)
        return int(action)

    def _choose(self, latents: Tensor, played: Tensor) -> Tensor:
        """The action int64 (1,) in latents (1, Z), after the action int64 (1,) that was played last."""
        del played
        features = self.world_model.features_of(latents, self._memory.hidden)
        # Drawn on the CPU, so that an episode is the same on every device.
        gumbel = draw_gumbel((self.world_model.mdn_rnn.actions,), self._luck).to(features.device)
        return self.controller.act(features.unsqueeze(0), gumbel)[0]

    def _remember(self, posterior: Posterior) -> Tensor:
        """Take the last step into the memory, now that its outcome is seen; returns the action played, (1,)."""
        if self._last is None:
            return torch.zeros(1, dtype=torch.int64, device=posterior.mean.device)
        last, network = self._last, self.world_model.mdn_rnn
        if torch.equal(last.chosen, last.before):
            self._memory = self.world_model.remember(last.latents, last.chosen, self._memory)
            return last.chosen
        both = torch.cat([last.chosen, last.before])
        latents = last.latents.repeat(2, 1)
        after = self.world_model.remember(latents, both, self._memory.repeat(2))
        mixture = network.predict(after.hidden, latents).latent
        chosen, before = mixture.log_prob(posterior.mean, posterior.log_variance).tolist()
        played = torch.tensor([before > chosen + _DOUBT], dtype=torch.int64, device=both.device)
        self._memory = after.of(played)
        return both[played]

"""Who plays: a person's buttons, the controller awake or asleep, PPO, or chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model.config import ActionSet
from mario_world_model.emulation.actions import LEFT, RIGHT, A, B, action_buttons
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mixture import draw_gumbel
from mario_world_model.models.world_model import WorldModel
from mario_world_model.playground.dreaming import DreamState
from mario_world_model.policies.policy import Policy
from mario_world_model.utils.seeding import stream, torch_stream

_CHOICE: Final = 1
_CPU: Final = torch.device("cpu")
# What of the held buttons matters most, where an action set has no action for all of them.
_WORTH: Final = {RIGHT: 16, LEFT: 16, A: 8, B: 4}


@dataclass(frozen=True)
class Situation:
    """What a player may look at."""

    buttons: int
    dream: DreamState
    seen: DreamState | None
    """What V and M make of the real game, where there is one."""
    screen: NDArray[np.uint8] | None
    """The real game's, (224, 240, 3)."""
    seed: int
    step: int


class Players:
    """Everybody who can be asked for an action."""

    def __init__(self, world_model: WorldModel, controller: Controllers, ppo: Policy | None) -> None:
        self._world_model = world_model
        self._controller = controller
        self._ppo = ppo
        self._action_of = [nearest_action(world_model.controls.actions, buttons) for buttons in range(256)]

    @property
    def names(self) -> list[str]:
        """Those there are, as `messages.PLAYERS` calls them."""
        return ["you", "controller", "dreamer", *(["ppo"] if self._ppo else []), "random"]

    def reset(self, seed: int, step: int) -> None:
        """Forget what was seen: an episode begins, or one is gone back in."""
        if self._ppo is not None:
            self._ppo.reset(stream(seed, _CHOICE, step))

    def choose(self, who: str, now: Situation) -> int:
        """The action of a player; one who has nothing to look at is replaced by the one asleep."""
        if who == "you":
            return self._action_of[now.buttons]
        if who == "random":
            return int(stream(now.seed, _CHOICE, now.step).integers(self._world_model.mdn_rnn.actions))
        if who == "ppo" and self._ppo is not None and now.screen is not None:
            return self._ppo.act(now.screen)
        awake = who == "controller" and now.seen is not None
        return self._controlled(now.seen if awake and now.seen else now.dream, now)

    @torch.inference_mode()
    def _controlled(self, state: DreamState, now: Situation) -> int:
        features = self._world_model.features_of(state.latents, state.memory.hidden)
        luck = torch_stream(now.seed, _CPU, _CHOICE, now.step)
        gumbel = draw_gumbel((self._world_model.mdn_rnn.actions,), luck)
        return int(self._controller.act(features.unsqueeze(0), gumbel)[0])


def nearest_action(actions: ActionSet, buttons: int) -> int:
    """The action of a set that presses most of what is held, and nothing that is not."""
    worths = [
        sum(_WORTH.get(bit, 1) for bit in (1 << place for place in range(8)) if pressed & bit)
        if pressed & ~buttons == 0
        else -1
        for pressed in action_buttons(actions)
    ]
    return worths.index(max(worths))

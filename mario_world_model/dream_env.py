"""One dream as a Gymnasium environment: anybody's agent can play it, frame by frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from mario_world_model import pretrained
from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import DreamConfig
from mario_world_model.dream import Dream
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.models.vae import FRAME_SIZE
from mario_world_model.models.world_model import WorldModel
from mario_world_model.utils.preprocessing import Action

Frame = NDArray[np.uint8]


class DreamEnv(gymnasium.Env[Frame, Action]):
    """A dream seen through the decoder.

    Observations are uint8 (64, 64, 3), actions the action set that the world model learned, rewards and
    ends what it predicts. `info` has the predicted probabilities `death` and `flag` of the step, and the
    controller's `features` [z, h], float32 (Z + H,).

    Args:
        world_model: V and M, on any device.
        config: Temperature, horizon, stickiness and starts.
        render_mode: "rgb_array" for frames from `render`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self, world_model: WorldModel, config: DreamConfig, render_mode: Literal["rgb_array"] | None = None
    ) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(ACTION_SETS[world_model.controls.actions]))
        self.render_mode = render_mode
        self._dream = Dream(world_model, config, candidates=1, starts=1)
        self._device = world_model.device
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frame, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        features, _ = self._dream.reset(int(self.np_random.integers(2**31)))
        self._over = False
        return self._frame(), {"death": 0.0, "flag": 0.0, "features": features[0, 0].cpu().numpy()}

    def step(self, action: Action) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        if self._over:
            raise gymnasium.error.ResetNeeded("the dream is over: call reset() before step()")
        actions = torch.tensor([[int(action)]], device=self._device)
        features, reward, terminated, truncated, odds = self._dream.step(actions)
        self._over = bool(terminated) or bool(truncated)
        info: dict[str, Any] = {name: float(chance) for name, chance in odds.items()}
        info["features"] = features[0, 0].cpu().numpy()
        return self._frame(), float(reward), bool(terminated), bool(truncated), info

    def render(self) -> Any:
        """The present frame with "rgb_array"."""
        return self._frame() if self.render_mode == "rgb_array" else None

    def _frame(self) -> Frame:
        frame: Frame = self._dream.frames()[0, 0].cpu().numpy()
        return frame


def make_dream_env(
    vae: str | Path = pretrained.VAE,
    mdnrnn: str | Path = pretrained.MDN_RNN,
    render_mode: Literal["rgb_array"] | None = None,
    **settings: Any,
) -> DreamEnv:
    """The environment behind `gymnasium.make("MarioDream-v0")`, by default of the world model in the package.

    `settings` are fields of `config.DreamConfig`. Raises InputError as `load_world_model` does.
    """
    world_model, _ = load_world_model(Path(vae), Path(mdnrnn))
    return DreamEnv(world_model, dataclasses.replace(DreamConfig(), **settings), render_mode)

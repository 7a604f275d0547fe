"""The PPO agent as a policy."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from torch import Tensor
from torch.distributions import Categorical

from mario_world_model.config import GameConfig, ViewConfig, from_plain
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.utils.preprocessing import View


class PPOPolicy:
    """stable-baselines3's PPO, its actions sampled as they were in training."""

    def __init__(self, model: PPO, view: ViewConfig) -> None:
        self._policy = model.policy
        self._view = View(view)

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._fresh = True

    @torch.no_grad()
    def act(self, screen: NDArray[np.uint8]) -> int:
        seen = self._view.reset(screen) if self._fresh else self._view.observe(screen)
        self._fresh = False
        # The policy takes channels first, the environment gives them last.
        batch = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1))).unsqueeze(0)
        logits = self._logits(batch.to(self._policy.device))
        chances = torch.softmax(logits[0].double(), dim=0).cpu().numpy()
        return int(self._rng.choice(len(chances), p=chances / chances.sum()))

    def _logits(self, batch: Tensor) -> Tensor:
        distribution = self._policy.get_distribution(batch).distribution
        if not isinstance(distribution, Categorical):
            raise InputError(f"PPO: expected a choice among actions, found {type(distribution).__name__}")
        logits: Tensor = distribution.logits
        return logits


def ppo_file(path: Path) -> Path:
    """The .zip behind a path that may lack the ending, as stable-baselines3 writes it."""
    return path if path.suffix == ".zip" else path.with_name(path.name + ".zip")


def ppo_controls(path: Path) -> Controls:
    """Controls that a PPO agent was trained under, from the configuration beside it, or the defaults."""
    beside = ppo_file(path).with_name(ppo_file(path).name + ".json")
    if not beside.is_file():
        return Controls(GameConfig.actions, GameConfig.frame_skip, ViewConfig(size=84, grey=True, stack=4))
    try:
        plain = json.loads(beside.read_text())
        game = from_plain(GameConfig, plain["game"], str(beside))
        return Controls(game.actions, game.frame_skip, from_plain(ViewConfig, plain["view"], str(beside)))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{beside}: expected the configuration of a PPO agent, found something else") from error


def load_ppo(path: Path) -> PPOPolicy:
    """Read a PPO agent for playing, on the CPU.

    Its file is a stable-baselines3 archive, part of which is unpickled: load only your own.
    """
    file = ppo_file(path)
    if not file.is_file():
        raise InputError(f"{file}: expected a PPO checkpoint, found no such file")
    if not zipfile.is_zipfile(file):
        raise InputError(f"{file}: expected a PPO checkpoint, found a file that is not a .zip archive")
    try:
        model = PPO.load(file, device="cpu")
    except (KeyError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: expected a PPO checkpoint, found another archive ({error})") from error
    return PPOPolicy(model, ppo_controls(path).view)

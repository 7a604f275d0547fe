"""The PPO agent as a policy."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from torch import Tensor
from torch.distributions import Categorical

from mario_world_model.checkpoints import controls_from_plain
from mario_world_model.config import GameConfig, ViewConfig, from_plain, to_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.utils.checkpoint import Checkpoint, build_filled, load_checkpoint, save_checkpoint
from mario_world_model.utils.preprocessing import View, view_shape

PPO_KIND = "ppo"


class PPOPolicy:
    """stable-baselines3's PPO, its actions sampled as they were in training."""

    def __init__(self, policy: ActorCriticPolicy, controls: Controls) -> None:
        self.controls = controls
        self._policy = policy
        self._view = View(controls.view)

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
    """The file behind a path that may lack its ending: tensors and plain values where there are such, else the archive.

    `<path>.pt` is read without running anything in it; `<path>.zip` is stable-baselines3's own.
    """
    if path.suffix in (".pt", ".zip"):
        return path
    plain, archive = (path.with_name(path.name + suffix) for suffix in (".pt", ".zip"))
    return archive if archive.is_file() and not plain.is_file() else plain


def save_ppo(path: Path, policy: ActorCriticPolicy, controls: Controls, provenance: dict[str, Any]) -> None:
    """Write a PPO agent as tensors and plain values."""
    save_checkpoint(path, Checkpoint(PPO_KIND, {"controls": to_plain(controls)}, policy.state_dict(), provenance))


def load_ppo(path: Path, trust: bool = False) -> PPOPolicy:
    """Read a PPO agent for playing, on the CPU.

    Raises InputError when there is none, or it is stable-baselines3's archive, part of which runs as code, and
    `trust` is not given.
    """
    file = ppo_file(path)
    return _load_archive(file, trust) if file.suffix == ".zip" else _load_plain(file)


def _load_plain(file: Path) -> PPOPolicy:
    saved = load_checkpoint(file, PPO_KIND)
    controls = controls_from_plain(saved.config.get("controls"), file)
    height, width, channels = view_shape(controls.view)
    seen = gymnasium.spaces.Box(0, 255, (channels, height, width), np.uint8)
    choices = gymnasium.spaces.Discrete(len(ACTION_SETS[controls.actions]))
    try:
        policy = build_filled(lambda: ActorCriticCnnPolicy(seen, choices, lambda _: 0.0), saved.tensors, file)
    except (AssertionError, RuntimeError) as error:  # a picture too small for its convolutions
        raise InputError(f"{file}: expected views that fit the network, found {view_shape(controls.view)}") from error
    return PPOPolicy(policy.eval(), controls)


def _load_archive(file: Path, trust: bool) -> PPOPolicy:
    if not file.is_file():
        raise InputError(f"{file}: expected a PPO checkpoint, found no such file")
    if not trust:
        raise InputError(
            f"{file}: expected --trust beside a stable-baselines3 archive, part of which runs as code, found none; "
            "ppo writes a .pt beside it that needs no trust"
        )
    if not zipfile.is_zipfile(file):
        raise InputError(f"{file}: expected a PPO checkpoint, found a file that is not a .zip archive")
    try:
        model = PPO.load(file, device="cpu")
    except (KeyError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: expected a PPO checkpoint, found another archive ({error})") from error
    return PPOPolicy(model.policy, _controls_beside(file))


def _controls_beside(file: Path) -> Controls:
    """Controls that an archive's agent was trained under, from the configuration beside it, or the defaults."""
    beside = file.with_name(file.name + ".json")
    if not beside.is_file():
        return Controls(GameConfig.actions, GameConfig.frame_skip, ViewConfig(size=84, grey=True, stack=4))
    try:
        plain = json.loads(beside.read_text())
        game = from_plain(GameConfig, plain["game"], str(beside))
        return Controls(game.actions, game.frame_skip, from_plain(ViewConfig, plain["view"], str(beside)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{beside}: expected the configuration of a PPO agent, found something else") from error

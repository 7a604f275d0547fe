"""The PPO agent as a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from torch import Tensor
from torch.distributions import Categorical

from mario_world_model.checkpoints import controls_from_plain
from mario_world_model.config import to_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.policies.stable_baselines import StableBaselinesPolicy, load_archive
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
    if file.suffix != ".zip":
        return _load_plain(file)
    policy, controls = load_archive(file, trust)
    if not isinstance(policy, ActorCriticPolicy):
        raise InputError(f"{file}: expected a PPO agent, found {type(policy).__name__}")
    return PPOPolicy(policy, controls)


def load_stable_baselines(file: Path, trust: bool) -> PPOPolicy | StableBaselinesPolicy:
    """Any agent of stable-baselines3; those with chances of actions draw from them."""
    policy, controls = load_archive(file, trust)
    if isinstance(policy, ActorCriticPolicy):
        return PPOPolicy(policy, controls)
    return StableBaselinesPolicy(policy, controls)


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

"""Train the model-free baseline, PPO from stable-baselines3.

    python -m mario_world_model.training.ppo_baseline --env SuperMarioBros-1-1-v0 \
        --timesteps 1000000 --output checkpoints/ppo_mario
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import SubprocVecEnv, VecMonitor
from tqdm import tqdm

from mario_world_model.command import run_command
from mario_world_model.config import PPOConfig
from mario_world_model.emulation.rom import find_rom
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.policies.ppo import ppo_file
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.environment import make_worker_env
from mario_world_model.utils.processes import start_method
from mario_world_model.utils.tracking import save_config

# What is left of the first learning rate and entropy bonus at the end. Less exploration than this, or
# as much of it to the last, and runs on 1-1 collapse or stay random.
_LAST_RATE_SHARE = 2 / 3
_LAST_ENTROPY_SHARE = 0.01


def train_ppo(config: PPOConfig) -> Path:
    """Train PPO and write its archive; returns the archive's path."""
    find_rom(parse_env_id(config.game.env).mode, config.game.rom)
    if config.rollout_steps * config.environments < config.batch_size:
        raise InputError(
            f"batch_size: expected at most rollout_steps × environments = "
            f"{config.rollout_steps * config.environments}, found {config.batch_size}"
        )
    device = choose_device(config.device)
    file = ppo_file(config.output)
    save_config(file, config)
    games = VecMonitor(
        SubprocVecEnv(
            [functools.partial(make_worker_env, config.game, config.view) for _ in range(config.environments)],
            start_method=start_method(),
        )
    )
    try:
        model = PPO(
            "CnnPolicy",
            games,
            n_steps=config.rollout_steps,
            batch_size=config.batch_size,
            n_epochs=config.update_epochs,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            learning_rate=lambda left: config.learning_rate * _falling(left, _LAST_RATE_SHARE),
            ent_coef=config.entropy,
            clip_range=config.clip,
            tensorboard_log=str(config.logs),
            seed=config.seed,
            device=device,
        )
        model.learn(config.timesteps, callback=_Progress(config), tb_log_name="ppo")
        with written_whole(file) as temporary, temporary.open("wb") as archive:
            model.save(archive)
    finally:
        games.close()
    return file


def _falling(left: float, last_share: float) -> float:
    """A line from 1 with everything left to `last_share` with nothing left."""
    return last_share + (1.0 - last_share) * left


class _Progress(BaseCallback):
    """A bar, and the entropy bonus on its way down."""

    def __init__(self, config: PPOConfig) -> None:
        super().__init__()
        self._config = config
        self._bar = tqdm(total=config.timesteps, unit="step", unit_scale=True, disable=None, desc="PPO")

    def _on_step(self) -> bool:
        self._bar.update(self._config.environments)
        return True

    def _on_rollout_end(self) -> None:
        left = max(0.0, 1.0 - self.num_timesteps / self._config.timesteps)
        assert isinstance(self.model, PPO)
        self.model.ent_coef = self._config.entropy * _falling(left, _LAST_ENTROPY_SHARE)
        returns = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        if returns:
            self._bar.set_postfix(score=f"{np.mean(returns):.0f}")

    def _on_training_end(self) -> None:
        self._bar.close()


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(PPOConfig, lambda config: print(train_ppo(config)), "mario-world-model ppo", arguments)


if __name__ == "__main__":
    sys.exit(main())

"""What PPO is chosen by: episodes of the validation seeds, played at intervals by the agent of the moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.policies import ActorCriticPolicy

from mario_world_model.config import VALIDATION_SEEDS, PPOConfig, to_plain
from mario_world_model.evaluation.episodes import evaluate_policy
from mario_world_model.evaluation.summary import summarise
from mario_world_model.models.world_model import Controls
from mario_world_model.policies.choice import PolicyChoice
from mario_world_model.policies.ppo import save_ppo
from mario_world_model.utils.cost import Cost
from mario_world_model.utils.hashes import file_sha256
from mario_world_model.utils.tracking import save_config
from mario_world_model.utils.workers import WorkerPool


@dataclass(frozen=True)
class Check:
    """How the agent of one moment of the training played."""

    timesteps: int
    """Agent steps of training behind it."""
    flag_rate: float
    max_x: float
    """Mean of the furthest places, pixels."""
    score: float
    """Mean return."""


class Checks:
    """The checks of one training so far; their steps are not counted as training."""

    def __init__(self, config: PPOConfig, plain: Path) -> None:
        self._config, self._plain = config, plain
        self.done: list[Check] = []

    def go_on(self, done: Sequence[dict[str, Any]]) -> None:
        """Put back what an interrupted run had."""
        self.done = [Check(**one) for one in done]

    def due(self, timesteps: int) -> bool:
        """Whether another interval has passed since the last check."""
        every = self._config.check_every
        last = self.done[-1].timesteps if self.done else 0
        return every > 0 and timesteps // every > last // every

    def check(self, timesteps: int, policy: ActorCriticPolicy, cost: Cost) -> Check:
        """Keep the agent of now as <output>.<steps>.pt, note its cost beside it, and see how it plays."""
        config = self._config
        kept = self.file(timesteps)
        controls = Controls(config.game.actions, config.game.frame_skip, config.view)
        save_ppo(kept, policy, controls, {"settings": to_plain(config), "timesteps": timesteps})
        save_config(kept, config, finished={"sha256": file_sha256(kept), "cost": to_plain(cost)})
        with WorkerPool(config.workers) as pool:
            scores = evaluate_policy(
                config.game,
                PolicyChoice(ppo=kept),
                range(config.check_episodes),
                VALIDATION_SEEDS.start,
                config.check_max_steps,
                pool,
            )
            summary = summarise(sorted(scores, key=lambda score: score.index))
        check = Check(timesteps, summary.flag_rate, summary.mean_max_x, summary.mean_score)
        self.done.append(check)
        return check

    @property
    def best(self) -> Check | None:
        """The check with the most flags, the furthest of them if several have as many; the later of equals."""
        return max(self.done, key=lambda one: (one.flag_rate, one.max_x, one.timesteps), default=None)

    def file(self, timesteps: int) -> Path:
        """Where the agent of a check is kept."""
        return self._plain.with_name(f"{self._plain.stem}.{timesteps}.pt")

    def plain(self) -> list[dict[str, Any]]:
        """All checks as plain values."""
        return [dataclasses.asdict(one) for one in self.done]

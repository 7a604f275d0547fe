"""Train the model-free baseline, PPO from stable-baselines3.

    python -m mario_world_model.training.ppo_baseline --env SuperMarioBros-1-1-v0 \
        --timesteps 1000000 --output checkpoints/ppo_mario
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnvWrapper, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from torch import Tensor
from tqdm import tqdm

from mario_world_model.command import run_command
from mario_world_model.config import GameConfig, PPOConfig, ViewConfig, to_plain
from mario_world_model.emulation.rom import find_rom
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.policies.ppo import PPO_KIND, ppo_file, save_ppo
from mario_world_model.training.finite import require_finite
from mario_world_model.training.ppo_checks import Checks
from mario_world_model.training.resume import Run, damaged
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.checkpoint import Checkpoint, load_checkpoint
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.environment import make_worker_env
from mario_world_model.utils.game_state import ResumableGame
from mario_world_model.utils.processes import start_method
from mario_world_model.utils.task_queue import ATTEMPTS
from mario_world_model.utils.tracking import Tracker, Untracked
from mario_world_model.utils.workers import SILENCE

# What is left of the first learning rate and entropy bonus at the end. Less exploration than this, or
# as much of it to the last, and runs on 1-1 collapse or stay random.
_LAST_RATE_SHARE = 2 / 3
_LAST_ENTROPY_SHARE = 0.01
_COUNTERS = {
    "timesteps": 0,
    "updates": 0,
    "episodes": [(0.0, 0)],
    "checks": [{"timesteps": 0, "flag_rate": 0.0, "max_x": 0.0, "score": 0.0}],
}


@dataclass(frozen=True)
class PPOFigures:
    """What there is to say of a training."""

    timesteps: int
    """Agent steps."""
    score: float
    """Mean return of its last hundred episodes; 0 where none ended."""
    chosen: int = 0
    """Step whose agent was written: that of the best check, or the last."""
    seconds: float = 0.0
    """Wall-clock time, checks and the time before an interruption included."""


def train_ppo(config: PPOConfig) -> PPOFigures:
    """Train PPO and write its two files; goes on at the rollout that an interrupted training was in."""
    find_rom(parse_env_id(config.game.env).mode, config.game.rom)
    if config.rollout_steps * config.environments < config.batch_size:
        raise InputError(
            f"batch_size: expected at most rollout_steps × environments = "
            f"{config.rollout_steps * config.environments}, found {config.batch_size}"
        )
    stem = config.output.with_suffix("") if config.output.suffix in (".pt", ".zip") else config.output
    plain, archive = (stem.with_name(stem.name + ending) for ending in (".pt", ".zip"))
    with Run("PPO", dataclasses.replace(config, output=plain), {}) as run:
        finished = run.finished(PPOFigures)
        if finished is not None:
            return finished
        checks = Checks(config, plain)
        model = _with_games_replaced(config, run, checks)
        best = checks.best
        if best is not None:
            model.policy.load_state_dict(load_checkpoint(checks.file(best.timesteps), PPO_KIND).tensors)
        chosen = model.num_timesteps if best is None else best.timesteps
        figures = PPOFigures(model.num_timesteps, _mean_score(model), chosen, run.seconds)
        with written_whole(archive) as temporary, temporary.open("wb") as file:
            model.save(file)
        controls = Controls(config.game.actions, config.game.frame_skip, config.view)
        origin = {"settings": to_plain(config), "timesteps": chosen, "of": figures.timesteps, "checks": checks.plain()}
        save_ppo(plain, model.policy, controls, origin)
        run.finish(figures, _parallel(config))
    return figures


def _with_games_replaced(config: PPOConfig, run: Run, checks: Checks) -> PPO:
    """Train to the end; a lost game is begun again, and the present rollout with it."""
    for attempt in range(ATTEMPTS):
        games = _Games(config)
        progress = _Progress(config, run, checks)
        try:
            return _learn(config, run, games, progress)
        except KeyboardInterrupt:
            if progress.state is not None:
                run.save(progress.state)
            raise
        except (EOFError, ConnectionError) as loss:
            if attempt + 1 == ATTEMPTS:
                raise InputError(
                    f"PPO: lost a game's process {ATTEMPTS} times ({loss or type(loss).__name__})"
                ) from loss
            print("PPO: a game's process was lost; this rollout is played again", file=sys.stderr)
            if progress.state is not None:
                run.go_back(progress.state)
        finally:
            progress.close()
            games.end()
    raise AssertionError("unreachable")


def _learn(config: PPOConfig, run: Run, games: _Games, progress: _Progress) -> PPO:
    device = choose_device(config.device)
    monitor = VecMonitor(games)
    model = PPO(
        "CnnPolicy",
        _ScaledRewards(monitor, config.reward_scale),
        n_steps=config.rollout_steps,
        batch_size=config.batch_size,
        n_epochs=config.update_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        learning_rate=lambda left: config.learning_rate * _falling(left, _LAST_RATE_SHARE),
        ent_coef=config.entropy,
        clip_range=config.clip,
        seed=config.seed,
        device=device,
    )
    # A third more images a second on a CPU (1,090 to 1,470 on one core), where convolutions take most of the time.
    model.policy.features_extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stop_unless_finite(*_: object) -> None:
        where = f"PPO: step {model.num_timesteps}, epoch {model._n_updates % config.update_epochs}"
        require_finite(None, model.policy.parameters(), where)

    model.policy.optimizer.register_step_pre_hook(stop_unless_finite)
    at = run.restore(_COUNTERS, policy=model.policy, adam=model.policy.optimizer)
    if at:
        try:
            _put_back(model, games, monitor, at, run.arrays)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise damaged(run.file) from error
        progress.go_on(at)
        model.ent_coef = _entropy(config, model.num_timesteps)
    with run.tracker("ppo") as tracker:
        model.set_logger(Logger(None, [_ToTracker(tracker, run)]))
        progress.tracker = tracker
        left = config.timesteps - model.num_timesteps
        model.learn(left, callback=progress, reset_num_timesteps=not at)
        progress.check_the_last()
    return model


class _Games(SubprocVecEnv):
    """Games in processes of their own, which are ended whatever they are doing."""

    def __init__(self, config: PPOConfig) -> None:
        make = functools.partial(_make_game, config.game, config.view)
        super().__init__([make] * config.environments, start_method=start_method())

    def step_wait(self) -> VecEnvStepReturn:
        for remote in self.remotes:
            if not remote.poll(SILENCE):
                raise EOFError(f"no sign of life for {SILENCE:.0f} s")
        return super().step_wait()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


class _ScaledRewards(VecEnvWrapper):
    """Rewards as PPO is to see them; the monitor below counts them as they are."""

    def __init__(self, games: VecMonitor, scale: float) -> None:
        super().__init__(games)
        self._scale = scale

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        seen, rewards, ends, infos = self.venv.step_wait()
        return seen, rewards / self._scale, ends, infos


def _make_game(game: GameConfig, view: ViewConfig) -> ResumableGame:
    return ResumableGame(make_worker_env(game, view))


# What our other logs have too is called as it is there.
_TAGS = {
    "rollout/ep_rew_mean": "train/return_mean",
    "rollout/ep_len_mean": "train/steps_mean",
    "time/time_elapsed": None,  # of this sitting alone; cost/seconds is of all
    "time/total_timesteps": None,  # the step of every figure
}


class _ToTracker(KVWriter):
    """stable-baselines3's figures on their way into our log."""

    def __init__(self, tracker: Tracker | Untracked, run: Run) -> None:
        self._tracker, self._run = tracker, run

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        del key_excluded
        figures = {
            tag: float(value)
            for name, value in key_values.items()
            if isinstance(value, (int, float, np.number)) and (tag := _TAGS.get(name, name)) is not None
        }
        self._tracker.scalars(step, **figures, cost__seconds=self._run.seconds)

    def close(self) -> None:
        """The tracker closes itself."""


def _taken_apart(model: PPO, games: SubprocVecEnv, monitor: VecMonitor) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All of a training between two rollouts but the networks: counters, and arrays."""
    # stable-baselines3 shuffles its batches with NumPy's global generator.
    luck = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    counters = {
        "timesteps": model.num_timesteps,
        "updates": model._n_updates,
        "episodes": [[float(one["r"]), int(one["l"])] for one in model.ep_info_buffer or ()],
    }
    arrays = {
        "seen": model._last_obs,
        "begins": model._last_episode_starts,
        "returns": monitor.episode_returns,
        "lengths": monitor.episode_lengths,
        "luck": luck["key"].astype(np.int64),
        "luck_at": np.array(luck["pos"]),
    }
    for number, state in enumerate(games.env_method("take_state")):
        arrays |= {f"game{number}.{name}": array for name, array in state.items()}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return counters, tensors


def _put_back(
    model: PPO, games: SubprocVecEnv, monitor: VecMonitor, at: dict[str, Any], arrays: dict[str, Tensor]
) -> None:
    found = {name: tensor.numpy() for name, tensor in arrays.items()}
    monitor.reset()
    for number in range(games.num_envs):
        parts = {name: found[f"game{number}.{name}"] for name in ("state", "views", "luck")}
        games.env_method("put_state", parts, indices=number)
    monitor.episode_returns, monitor.episode_lengths = found["returns"].copy(), found["lengths"].copy()
    model.num_timesteps, model._n_updates = at["timesteps"], at["updates"]
    model._last_obs, model._last_episode_starts = found["seen"], found["begins"]
    episodes = [{"r": score, "l": steps, "t": 0.0} for score, steps in at["episodes"]]
    model.ep_info_buffer, model.ep_success_buffer = deque(episodes, maxlen=100), deque(maxlen=100)
    np.random.set_state(("MT19937", found["luck"].astype(np.uint32), int(found["luck_at"]), 0, 0.0))  # noqa: NPY002


def _parallel(config: PPOConfig) -> int:
    """Games play while networks wait, and the other way round."""
    return max(torch.get_num_threads(), config.environments)


def _mean_score(model: PPO) -> float:
    return float(np.mean([one["r"] for one in model.ep_info_buffer or ()] or [0.0]))


def _entropy(config: PPOConfig, timesteps: int) -> float:
    return config.entropy * _falling(max(0.0, 1.0 - timesteps / config.timesteps), _LAST_ENTROPY_SHARE)


def _falling(left: float, last_share: float) -> float:
    """A line from 1 with everything left to `last_share` with nothing left."""
    return last_share + (1.0 - last_share) * left


class _Progress(BaseCallback):
    """A bar, checks, the entropy bonus on its way down, and the state before every rollout."""

    def __init__(self, config: PPOConfig, run: Run, checks: Checks) -> None:
        super().__init__()
        self.tracker: Tracker | Untracked | None = None
        self._checks = checks
        self.state: Checkpoint | None = None
        """Where the training was before the present rollout, to go back to."""
        self._config, self._run = config, run
        self._bar = tqdm(total=config.timesteps, unit="step", unit_scale=True, disable=None, desc="PPO")

    def close(self) -> None:
        self._bar.close()

    def go_on(self, at: dict[str, Any]) -> None:
        """Go on from the counters of an interrupted run."""
        self._checks.go_on(at["checks"])

    def check_the_last(self) -> None:
        """The agent that training ends with is checked whatever its number of steps."""
        done = self._checks.done
        if self._config.check_every and (not done or done[-1].timesteps != self.num_timesteps):
            self._check()

    def _check(self) -> None:
        assert isinstance(self.model, PPO)
        assert self.tracker is not None
        found = self._checks.check(self.num_timesteps, self.model.policy, self._run.cost(_parallel(self._config)))
        self.tracker.scalars(
            self.num_timesteps,
            validation__flag_rate=found.flag_rate,
            validation__max_x=found.max_x,
            validation__score=found.score,
            cost__seconds=self._run.seconds,
        )

    def _on_rollout_start(self) -> None:
        if self._checks.due(self.num_timesteps):
            self._check()
        model, monitor = self.model, self.training_env
        assert isinstance(model, PPO)
        while not isinstance(monitor, VecMonitor):
            assert isinstance(monitor, VecEnvWrapper)
            monitor = monitor.venv
        assert isinstance(monitor.venv, SubprocVecEnv)
        # A copy: weights change before the next one, and a signal may come in between.
        counters, arrays = _taken_apart(model, monitor.venv, monitor)
        counters |= {"checks": self._checks.plain()}
        self.state = copy.deepcopy(self._run.state(self.num_timesteps, counters, arrays))
        if self._run.due:
            self._run.save(self.state)

    def _on_step(self) -> bool:
        self._bar.n = self.num_timesteps
        self._bar.update(0)
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        self.model.ent_coef = _entropy(self._config, self.num_timesteps)
        self._bar.set_postfix(score=f"{_mean_score(self.model):.0f}")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(PPOConfig, _report, "mario-world-model ppo", arguments)


def _report(config: PPOConfig) -> None:
    figures = train_ppo(config)
    print(
        f"{ppo_file(config.output)}: {figures.timesteps} steps, mean score of the last episodes {figures.score:.0f}; "
        f"kept the agent of step {figures.chosen}"
    )


if __name__ == "__main__":
    sys.exit(main())

"""Any agent of stable-baselines3, from the .zip that it saves; reading one runs code in it."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from mario_world_model.config import ActionSet, GameConfig, ViewConfig, from_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.utils.preprocessing import View

_TRUST = (
    "expected --trust beside a stable-baselines3 archive, part of which runs as code, found none; "
    "ppo writes a .pt beside it that needs no trust"
)


class StableBaselinesPolicy:
    """An agent that chooses by `predict`: DQN and its kin, whose choice has no chance in it."""

    def __init__(self, policy: BasePolicy, controls: Controls) -> None:
        self.controls = controls
        self._policy = policy
        self._view = View(controls.view)

    def reset(self, rng: np.random.Generator) -> None:
        self._seed, self._fresh = int(rng.integers(2**31)), True

    def act(self, screen: NDArray[np.uint8]) -> int:
        seen = self._view.reset(screen) if self._fresh else self._view.observe(screen)
        if self._fresh:
            torch.manual_seed(self._seed)
        self._fresh = False
        action, _ = self._policy.predict(np.ascontiguousarray(seen.transpose(2, 0, 1)), deterministic=False)
        return int(action)


def load_archive(file: Path, trust: bool) -> tuple[BasePolicy, Controls]:
    """The network in an archive, on the CPU, and the controls that it plays under.

    These stand in `<file>.json` beside an agent of this project; else they are told by the shapes of what it sees and
    does, at a frame skip of 4. Raises InputError without `trust`, and for what is not such an agent.
    """
    if not file.is_file():
        raise InputError(f"{file}: expected a stable-baselines3 archive, found no such file")
    if not trust:
        raise InputError(f"{file}: {_TRUST}")
    if not zipfile.is_zipfile(file):
        raise InputError(f"{file}: expected a stable-baselines3 archive, found a file that is not a .zip archive")
    try:
        data, weights, _ = load_from_zip_file(file, device="cpu")
        assert data is not None
        seen, choices = data["observation_space"], data["action_space"]
        kwargs: dict[str, Any] = dict(data.get("policy_kwargs") or {})
        policy: BasePolicy = data["policy_class"](seen, choices, lambda _: 0.0, **kwargs)
        policy.load_state_dict(dict(weights["policy"]))
    except (AssertionError, KeyError, ValueError, AttributeError, TypeError, RuntimeError, ImportError) as error:
        raise InputError(f"{file}: expected a stable-baselines3 archive, found another ({error})") from error
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{file}: expected a stable-baselines3 archive, found a damaged one ({error})") from error
    return policy.eval(), _controls_beside(file) or _controls_of(file, seen, choices)


def _controls_beside(file: Path) -> Controls | None:
    """Controls from the configuration that `ppo` writes beside its archive, if there is one."""
    beside = file.with_name(file.stem + ".pt.json")
    if not beside.is_file():
        return None
    try:
        plain = json.loads(beside.read_text())
        game = from_plain(GameConfig, plain["game"], str(beside))
        return Controls(game.actions, game.frame_skip, from_plain(ViewConfig, plain["view"], str(beside)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{beside}: expected the configuration of a PPO agent, found something else") from error


def _controls_of(file: Path, seen: gymnasium.Space[Any], choices: gymnasium.Space[Any]) -> Controls:
    sets: dict[int, ActionSet] = {len(buttons): name for name, buttons in ACTION_SETS.items()}
    count = int(choices.n) if isinstance(choices, gymnasium.spaces.Discrete) else 0
    shape = seen.shape or ()
    fits = len(shape) == 3 and shape[1] == shape[2] and np.issubdtype(seen.dtype or np.float64, np.uint8)
    if count not in sets or not fits:
        raise InputError(
            f"{file}: expected an agent that sees square uint8 pictures (C, size, size) and chooses among "
            f"{', '.join(map(str, sorted(sets)))} actions, found {seen} and {choices}"
        )
    channels = shape[0]
    grey = channels % 3 != 0
    view = ViewConfig(size=shape[1], grey=grey, stack=channels if grey else channels // 3)
    return Controls(sets[count], GameConfig.frame_skip, view)

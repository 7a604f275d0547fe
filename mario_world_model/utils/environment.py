"""Super Mario Bros as a Gymnasium environment, one or many."""

from __future__ import annotations

import functools
import multiprocessing
import struct
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv
from numpy.typing import NDArray

from mario_world_model.config import BackendChoice, GameConfig, ViewConfig
from mario_world_model.emulation.actions import NOOP, action_buttons, action_names
from mario_world_model.emulation.backends import open_emulator
from mario_world_model.emulation.emulator import SCREEN_SHAPE, unpack_state
from mario_world_model.emulation.game import Game
from mario_world_model.emulation.rom import find_rom
from mario_world_model.emulation.stages import STAGES, RomMode, Target, check_target, parse_env_id
from mario_world_model.emulation.truth import read_truth
from mario_world_model.errors import InputError
from mario_world_model.registration import register_environments
from mario_world_model.utils.preprocessing import Action, ViewWrapper
from mario_world_model.utils.processes import end_with_parent, start_method, use_one_thread
from mario_world_model.utils.window import Window

Screen = NDArray[np.uint8]
RenderMode = Literal["human", "rgb_array"]

_STATE_TAG: Final = b"mario/1\n"
_STATE: Final = struct.Struct("<iiB?")


class MarioEnv(gymnasium.Env[Screen, Action]):
    """The game with the rules of gym-super-mario-bros 7.4.0 on whole screens.

    Observations are (224, 240, 3) uint8 RGB screens. `info` has the ten entries of 7.4.0 (coins,
    flag_get, life, score, stage, status, time, world, x_pos, y_pos) and ``executed_action``, the
    action that was really held, which differs from the one given when ``sticky`` repeats.

    Rules are applied to every frame of a step: rewards add up, and the first frame that ends the
    episode ends the step. Everything random comes from `np_random`: with a seed, reset and all that
    follows repeat exactly.

    Args:
        target: (world, stage), "random" for a stage drawn at every reset, or None for the whole game.
        mode: Picture of the game, one of the four ROMs.
        actions: Action set.
        frame_skip: Frames per step, at least 1.
        sticky: Probability per step of repeating the previous executed action, 0..1.
        noops: Most no-op frames after a reset, drawn uniformly from 0 to this number.
        backend: Emulator.
        rom: ROM file; None looks for it (`emulation.rom.find_rom`).
        render_mode: "human" for a window, "rgb_array" for screens from `render`.

    Raises:
        InputError: an argument is out of range, or the ROM or the backend is missing.
    """

    # Gymnasium declares this an instance variable, so that it cannot be a ClassVar here.
    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 60}  # noqa: RUF012

    def __init__(
        self,
        target: Target = None,
        mode: RomMode = "vanilla",
        actions: str = "SIMPLE_MOVEMENT",
        frame_skip: int = 1,
        sticky: float = 0.0,
        noops: int = 0,
        backend: BackendChoice = "auto",
        rom: Path | None = None,
        render_mode: RenderMode | None = None,
    ) -> None:
        check_target(target)
        _check_range("frame_skip", frame_skip, 1, 60)
        _check_range("sticky", sticky, 0, 1)
        _check_range("noops", noops, 0, 600)
        if render_mode not in (None, "human", "rgb_array"):
            raise InputError(f"render_mode: expected human, rgb_array or None, found {render_mode!r}")
        self._buttons = action_buttons(actions)
        self._action_names = action_names(actions)
        self._target = target
        self._frame_skip = frame_skip
        self._sticky = sticky
        self._noops = noops
        self.observation_space = gymnasium.spaces.Box(0, 255, SCREEN_SHAPE, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(self._buttons))
        self.render_mode = render_mode
        self._window = Window("Super Mario Bros") if render_mode == "human" else None
        self._emulator = open_emulator(backend, find_rom(mode, rom))
        self._power_on = self._emulator.save_state()
        self._starts: dict[tuple[int, int] | None, bytes] = {}
        self._game = Game(self._emulator, one_life=target is not None)
        self._last_action = 0
        self._over = True

    @property
    def backend(self) -> str:
        """Emulator in use: "stable-retro" or "nes-py"."""
        return self._emulator.name

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Screen, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        start = self._start_of(self._draw_stage())
        self._emulator.load_state(start)
        self._game.begin()
        self._last_action = 0
        self._over = False
        for _ in range(int(self.np_random.integers(self._noops + 1)) if self._noops else 0):
            _, done = self._game.advance(NOOP)
            if done:  # something reached Mario while he waited
                self._emulator.load_state(start)
                self._game.begin()
                break
            self._game.skip()
        self._show()
        return self._emulator.screen(), self._info()

    def step(self, action: Action) -> tuple[Screen, float, bool, bool, dict[str, Any]]:
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset() before step()")
        if self._sticky and self.np_random.random() < self._sticky:
            action = self._last_action
        self._last_action = int(action)
        buttons, game, total = self._buttons[action], self._game, 0.0
        for frames_left in range(self._frame_skip - 1, -1, -1):
            reward, done = game.advance(buttons)
            total += reward
            if done or not frames_left:
                info = self._info()
            if not done:
                game.skip()
            self._show()
            if done:
                break
        self._over = done
        return self._emulator.screen(), total, done, False, info

    def truth(self) -> NDArray[np.int16]:
        """What is really on the present screen, (len(TRUTH_FIELDS),) int16 (`emulation.truth`)."""
        return read_truth(self._emulator.read)

    def save_state(self) -> bytes:
        """The present point of play, good in any environment of the same game and backend.

        The random generator is not part of it: two continuations from one state differ when
        ``sticky`` is on, unless the generator is put back too.
        """
        game = self._game
        return (
            _STATE_TAG
            + _STATE.pack(game.last_x, game.last_time, self._last_action, self._over)
            + self._emulator.save_state()
        )

    def load_state(self, state: bytes) -> Screen:
        """Go back to where `save_state` was called; the screen there, (224, 240, 3) uint8.

        Raises:
            InputError: ``state`` is not one that an environment on this backend saved.
        """
        body = unpack_state(state, _STATE_TAG, "MarioEnv")
        if len(body) < _STATE.size:
            raise InputError(f"state: expected one saved by MarioEnv, found {len(body)} bytes of one")
        last_x, last_time, action, over = _STATE.unpack(body[: _STATE.size])
        if action >= len(self._buttons):
            raise InputError(f"state: expected a last action below {len(self._buttons)}, found {action}")
        self._emulator.load_state(body[_STATE.size :])
        self._game.last_x, self._game.last_time, self._last_action, self._over = last_x, last_time, action, over
        return self._emulator.screen()

    def render(self) -> Any:
        """The present screen with "rgb_array"; nothing with "human", whose window shows every frame."""
        return self._emulator.screen() if self.render_mode == "rgb_array" else None

    def get_action_meanings(self) -> list[str]:
        """Name of each action."""
        return list(self._action_names)

    def close(self) -> None:
        self._emulator.close()
        if self._window is not None:
            self._window.close()

    def _draw_stage(self) -> tuple[int, int] | None:
        if self._target != "random":
            return self._target
        return STAGES[int(self.np_random.integers(len(STAGES)))]

    def _start_of(self, stage: tuple[int, int] | None) -> bytes:
        # The way from power-on to a stage takes about 100 frames, so it is gone once.
        if stage not in self._starts:
            self._emulator.load_state(self._power_on)
            self._game.start(stage)
            self._starts[stage] = self._emulator.save_state()
        return self._starts[stage]

    def _info(self) -> dict[str, Any]:
        return {**self._game.info(), "executed_action": self._last_action}

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self._emulator.screen())


def make_env(
    game: GameConfig, view: ViewConfig | None = None, render_mode: RenderMode | None = None
) -> gymnasium.Env[Screen, Action]:
    """One environment, seen through ``view``, or whole screens without one.

    Its `unwrapped` is the `MarioEnv`, for `truth`, `save_state` and `load_state`.

    Raises:
        InputError: the id is unknown, a setting is out of range, or the ROM or backend is missing.
    """
    parse_env_id(game.env)
    register_environments()
    # By spec, not by id: Gymnasium takes v1 … v3, other pictures here, for newer releases of v0 and warns.
    env: gymnasium.Env[Screen, Action] = gymnasium.make(
        gymnasium.spec(game.env),
        disable_env_checker=True,
        actions=game.actions,
        frame_skip=game.frame_skip,
        sticky=game.sticky,
        noops=game.noops,
        backend=game.backend,
        rom=game.rom,
        render_mode=render_mode,
    )
    return env if view is None else ViewWrapper(env, view)


def make_vector_env(game: GameConfig, view: ViewConfig | None, count: int) -> AsyncVectorEnv:
    """``count`` environments, each in a process of its own, with observations in shared memory.

    Raises:
        InputError: as `make_env`, or ``count`` is below 1.
    """
    _check_range("count", count, 1, 1024)
    return AsyncVectorEnv([functools.partial(make_worker_env, game, view)] * count, context=start_method())


def make_worker_env(game: GameConfig, view: ViewConfig | None) -> gymnasium.Env[Screen, Action]:
    """`make_env` for a process of its own, or for the one process in which its spaces are asked for."""
    if multiprocessing.parent_process() is not None:
        use_one_thread()
        end_with_parent()
    return make_env(game, view)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name}: expected {low} to {high}, found {value}")

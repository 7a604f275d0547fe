"""The real game of a session: one emulator, stepped frame by frame so that all of its pictures can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import ConsoleConfig, PlayConfig
from mario_world_model.models.world_model import Controls
from mario_world_model.utils.environment import MarioEnv, make_env
from mario_world_model.utils.preprocessing import preprocess

Screen = NDArray[np.uint8]
Frame = NDArray[np.uint8]
RealEnd = Literal["death", "flag"]
_X: Final = "x_pos"


@dataclass(frozen=True)
class Moment:
    """What there is after a step of the real game, or where it begins."""

    screens: list[Screen]
    """Pictures (224, 240, 3) of the step's frames, oldest first; one where it begins."""
    frame: Frame
    """The last of them as V gets it, (64, 64, 3)."""
    truth: NDArray[np.int16]
    """`emulation.truth`."""
    state: bytes
    """`MarioEnv.save_state`."""
    x: int
    reward: float = 0.0
    end: RealEnd | None = None


class Reality:
    """The game of one stage, played exactly as it is told: no action is ever repeated by chance.

    Raises:
        InputError: the ROM or the backend is missing, or there is no such stage.
    """

    def __init__(self, console: ConsoleConfig, controls: Controls, env_id: str, noops: int = 0) -> None:
        own = PlayConfig(env=env_id, sticky=0.0, noops=noops, backend=console.backend, rom=console.rom)
        self._controls = controls
        # One frame a step here, so that the frames between two decisions can be shown.
        self._env = make_env(own.with_controls(controls.actions, frame_skip=1))
        game = self._env.unwrapped
        assert isinstance(game, MarioEnv)
        self._game = game
        self.env_id = env_id
        self.noops = noops

    @property
    def backend(self) -> str:
        """Emulator in use."""
        return self._game.backend

    def reset(self, seed: int) -> Moment:
        """The first moment of an episode; the seed draws the no-ops, if there are any."""
        screen, info = self._env.reset(seed=seed)
        return self._moment([screen], int(info[_X]))

    def step(self, action: int) -> Moment:
        """Hold an action for a step, or until the episode ends."""
        screens: list[Screen] = []
        info: dict[str, Any] = {}
        total, done = 0.0, False
        while len(screens) < self._controls.frame_skip and not done:
            screen, reward, done, _, info = self._env.step(action)
            screens.append(screen)
            total += float(reward)
        end: RealEnd | None = None
        if done:
            end = "flag" if info["flag_get"] else "death"
        return self._moment(screens, int(info[_X]), total, end)

    def go_back(self, moment: Moment) -> Screen:
        """Continue from an earlier moment of this game; its picture."""
        return self._game.load_state(moment.state)

    def close(self) -> None:
        """Free the emulator."""
        self._env.close()

    def _moment(self, screens: list[Screen], x: int, reward: float = 0.0, end: RealEnd | None = None) -> Moment:
        return Moment(
            screens=screens,
            frame=preprocess(screens[-1], self._controls.view),
            truth=self._game.truth(),
            state=self._game.save_state(),
            x=x,
            reward=reward,
            end=end,
        )

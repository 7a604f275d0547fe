"""The game: agent steps a second beside a plain loop on nes-py, and beside the bare emulator core."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.bench import Bench
from benchmarks.figures import Work, ratio
from benchmarks.paired import compare
from mario_world_model.config import GameConfig, ViewConfig
from mario_world_model.emulation.actions import ACTION_SETS, action_buttons
from mario_world_model.emulation.backends import installed
from mario_world_model.utils.environment import MarioEnv, make_env

_SKIP = 4
_ACTIONS = len(ACTION_SETS["SIMPLE_MOVEMENT"])
# A screen of the console is read, a view of it written.
_BYTES = 224 * 240 * 3 + 64 * 64 * 3


def measure_emulation(bench: Bench) -> None:
    if not installed("stable-retro"):
        return
    ours = make_env(GameConfig(sticky=0.0, noops=0, frame_skip=_SKIP, backend="stable-retro"), ViewConfig())
    rng = np.random.default_rng(0)
    steps = 200 if bench.quick else 600

    def play() -> float:
        ours.reset()
        for _ in range(steps):
            if ours.step(int(rng.integers(_ACTIONS)))[2]:
                ours.reset()
        return steps

    game = ours.unwrapped
    assert isinstance(game, MarioEnv)
    # The very console that ours plays on: one more would take turns with it, at the cost of a saved state each.
    console, buttons = game._emulator, action_buttons("SIMPLE_MOVEMENT")
    ours.reset()
    start = console.save_state()

    def advance() -> float:
        console.load_state(start)
        for _ in range(steps):
            held = buttons[int(rng.integers(_ACTIONS))]
            for _ in range(_SKIP):
                console.step(held)
        return steps

    bare = compare(play, advance, bench.repeats)
    what = "agent steps/s, of those of the bare core advancing 4 frames"
    bench.found(ratio("emulation", what, bare, "agent steps", 90.0, scale=100.0, sign="%"))
    formula = "4 frames of the console; bytes: a screen read, a view written"
    bench.works.append(Work("emulation", "agent step", 0.0, _BYTES, bare.ours, formula))
    if installed("nes-py"):
        plain = make_env(GameConfig(sticky=0.0, noops=0, frame_skip=1, backend="nes-py"))

        def play_plainly() -> float:
            plain.reset()
            for _ in range(steps):
                action = int(rng.integers(_ACTIONS))
                for _ in range(_SKIP):
                    screen, _, done, _, _ = plain.step(action)
                    if done:
                        plain.reset()
                        break
                cv2.resize(screen, (64, 64), interpolation=cv2.INTER_AREA)
            return steps

        other = compare(play, play_plainly, bench.repeats)
        bench.found(ratio("emulation", "agent steps/s, gym-style loop on nes-py", other, "agent steps", 5.0))
        plain.close()
    ours.close()

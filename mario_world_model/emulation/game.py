"""Super Mario Bros with the rules of gym-super-mario-bros 7.4.0, one emulator frame at a time.

The order inside a frame is part of the rules: advance, reward, done, info, then the scenes nobody
plays are skipped. Later versions of that package reward differently; scores compare only with 7.4.0.
"""

from __future__ import annotations

from typing import Any, Final

from mario_world_model.emulation import ram
from mario_world_model.emulation.actions import NOOP, START
from mario_world_model.emulation.emulator import Emulator
from mario_world_model.emulation.stages import area_of

MOST_REWARD: Final = 15.0
_DEATH_PENALTY: Final = -25
# x jumps when a life ends or a pipe is taken; Mario himself moves 3 pixels a frame at most.
_MOST_X_STEP: Final = 5
# FCEUmm switches on with RAM full of FF; the game clears it in its third frame. Ten times that is a dead ROM.
_MOST_BOOT_FRAMES: Final = 30


class Game:
    """The rules, over an emulator that is on.

    Args:
        emulator: Console to play on.
        one_life: Play as a stage environment: over at a death or the flag. Otherwise over with the last life.
    """

    def __init__(self, emulator: Emulator, *, one_life: bool) -> None:
        self.emulator = emulator
        self.one_life = one_life
        self.last_x = 0
        self.last_time = 0

    def start(self, target: tuple[int, int] | None) -> None:
        """From power-on to the first frame of play of (world, stage), or of 1-1 with None."""
        step, read = self.emulator.step, self.emulator.read
        for _ in range(_MOST_BOOT_FRAMES):
            if read(ram.GAME_MODE) == 0:
                break
            step(NOOP)
        step(START)
        step(NOOP)
        while ram.time(read) == 0:
            step(START)
            if target is not None:
                self._write_target(*target)
            step(NOOP)
            self.emulator.write(ram.PRELEVEL_TIMER, 0)
        before = ram.time(read)
        while (now := ram.time(read)) >= before:
            before = now
            step(START)
            step(NOOP)

    def begin(self) -> None:
        """Measure the next frame's reward from the present situation; at every start of an episode."""
        read = self.emulator.read
        self.last_x, self.last_time = ram.x_position(read), ram.time(read)

    def advance(self, buttons: int) -> tuple[float, bool]:
        """Play one frame.

        Returns:
            Reward, −15..15: pixels to the right, less clock ticks, less 25 while dying; and whether
            the episode is over.
        """
        self.emulator.step(buttons)
        read = self.emulator.read
        x, time, lost = ram.x_position(read), ram.time(read), ram.is_lost(read)
        dx, dt = x - self.last_x, time - self.last_time
        self.last_x, self.last_time = x, time
        reward = (dx if -_MOST_X_STEP <= dx <= _MOST_X_STEP else 0) + min(0, dt) + (_DEATH_PENALTY if lost else 0)
        done = (lost or ram.is_flag_get(read)) if self.one_life else ram.is_game_over(read)
        return min(MOST_REWARD, max(-MOST_REWARD, float(reward))), done

    def info(self) -> dict[str, Any]:
        """The ten entries of gym-super-mario-bros 7.4.0, as they are before `skip`."""
        read = self.emulator.read
        return {
            "coins": ram.coins(read),
            "flag_get": ram.is_flag_get(read),
            "life": ram.lives(read),
            "score": ram.score(read),
            "stage": ram.stage(read),
            "status": ram.status(read),
            "time": ram.time(read),
            "world": ram.world(read),
            "x_pos": ram.x_position(read),
            "y_pos": ram.y_position(read),
        }

    def skip(self) -> None:
        """Run through what the player has no part in: deaths, scenes between worlds, pipes, black screens."""
        read, write, step = self.emulator.read, self.emulator.write, self.emulator.step
        if not self.one_life:  # with one life, both would have ended the episode
            if ram.is_dying(read):
                write(ram.PLAYER_STATE, ram.DEAD)
                step(NOOP)
            if ram.is_world_over(read):
                time = ram.time(read)
                while ram.time(read) == time:
                    step(NOOP)
        if 1 < read(ram.CHANGE_AREA_TIMER) < 255:
            write(ram.CHANGE_AREA_TIMER, 1)
        while ram.is_busy(read) or ram.is_world_over(read):
            write(ram.PRELEVEL_TIMER, 0)
            step(NOOP)

    def _write_target(self, world: int, stage: int) -> None:
        for address, value in ((ram.WORLD, world), (ram.STAGE, stage), (ram.AREA, area_of(world, stage))):
            self.emulator.write(address, value - 1)

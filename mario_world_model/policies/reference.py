"""Agents that know nothing: what a trained one has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_world_model.config import ActionSet
from mario_world_model.emulation.actions import LEFT, NOOP, RIGHT, A, B, action_buttons

# Relative chance of a button combination under the biased policy, and how long it is held, in steps.
# Jumps over pits and pipes take 8 to 11 steps of a held A, which uniform play almost never produces.
_RIGHT_CHANCE = {RIGHT: 2.0, RIGHT | A: 2.0, RIGHT | B: 3.0, RIGHT | A | B: 4.0}
_OTHER_CHANCE = 0.4
_LONGEST_HOLD = 11

# Relative chance of what the waiting policy does before it stands.
_BEFORE_STANDING = {RIGHT: 0.25, RIGHT | A: 0.15, RIGHT | B: 0.3, RIGHT | A | B: 0.2, LEFT: 0.1}


class UniformPolicy:
    """Every action equally likely, every step."""

    def __init__(self, actions: ActionSet) -> None:
        self._count = len(action_buttons(actions))

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def act(self, screen: NDArray[np.uint8]) -> int:
        del screen
        return int(self._rng.integers(self._count))


class BiasedPolicy:
    """Held actions, mostly to the right; how long and how mostly is drawn anew for every episode.

    Strong bias reaches pits and pipes with the long jumps that they take, weak bias dawdles past
    the enemies that a runner meets head-on: together they cover more of a level than either.
    """

    def __init__(self, actions: ActionSet) -> None:
        biased = np.array([_RIGHT_CHANCE.get(buttons, _OTHER_CHANCE) for buttons in action_buttons(actions)])
        self._biased = biased / biased.sum()

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        strength = rng.random()
        self._chances = strength * self._biased + (1.0 - strength) / len(self._biased)
        self._longest = int(rng.integers(1, _LONGEST_HOLD + 1))
        self._left = 0
        self._action = 0

    def act(self, screen: NDArray[np.uint8]) -> int:
        del screen
        if self._left == 0:
            self._action = int(self._rng.choice(len(self._chances), p=self._chances))
            self._left = int(self._rng.integers(1, self._longest + 1))
        self._left -= 1
        return self._action


class RightPolicy:
    """Runs right and jumps whenever it can: A is let go for one step in twelve."""

    _PERIOD = 12

    def __init__(self, actions: ActionSet) -> None:
        buttons = action_buttons(actions)
        self._jump = buttons.index(RIGHT | A | B)
        self._run = buttons.index(RIGHT | B)

    def reset(self, rng: np.random.Generator) -> None:
        del rng
        self._step = 0

    def act(self, screen: NDArray[np.uint8]) -> int:
        del screen
        self._step += 1
        return self._run if self._step % self._PERIOD == 0 else self._jump


class WaitingPolicy:
    """Runs a little, at times steps back, and stands, again and again, as one does who lets an enemy come.

    Who hurries never sees what becomes of one that waits, and enemies go away from where Mario stands in a dream made
    of such play: whoever plans in it waits for them to go.
    """

    def __init__(self, actions: ActionSet) -> None:
        buttons = action_buttons(actions)
        chances = {buttons.index(held): chance for held, chance in _BEFORE_STANDING.items() if held in buttons}
        self._runs = list(chances)
        self._chances = np.array(list(chances.values())) / sum(chances.values())
        self._jumps = [buttons.index(held) for held in (RIGHT | A, RIGHT | A | B, A) if held in buttons]
        self._stand = buttons.index(NOOP)
        self._back = buttons.index(LEFT) if LEFT in buttons else self._stand

    def reset(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._queue: list[int] = []

    def act(self, screen: NDArray[np.uint8]) -> int:
        del screen
        if not self._queue:
            self._queue = self._draw()
        return self._queue.pop(0)

    def _draw(self) -> list[int]:
        """What it does until it has stood once, and perhaps jumped then."""
        rng = self._rng
        steps = int(rng.integers(1, 13))
        drawn = [int(rng.choice(self._runs, p=self._chances))] * steps
        if rng.random() < 0.3:
            drawn += [self._back] * int(rng.integers(1, 7))
        drawn += [self._stand] * int(rng.integers(6, 41))
        if rng.random() < 0.4:
            drawn += [int(rng.choice(self._jumps))] * int(rng.integers(1, 9))
        return drawn

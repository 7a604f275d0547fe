"""What one visitor plays: the real game and its dream side by side, and the way back."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mario_world_model.errors import InputError
from mario_world_model.models.world_model import WorldModel
from mario_world_model.playground.demonstration import Demonstration
from mario_world_model.playground.dreaming import DreamState, dream_on, notice, see, with_latent
from mario_world_model.playground.players import Players, Situation
from mario_world_model.playground.reality import Moment, Reality
from mario_world_model.playground.starts import Starts
from mario_world_model.rollouts.route import unpack_runs

STEPS_BACK: Final = 150
"""Ten seconds that can be gone back to."""
_MOST_PLAYS: Final = 9000  # ten minutes of actions played again; a level's clock allows a third of it

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Point:
    """One step on the curves."""

    step: int
    action: int
    real: float | None
    """Reward of the game; None where there is none."""
    dreamt: float
    """Reward that M predicted."""
    death: float
    """Chance of death that M predicted, 0..1."""
    drift: float | None
    """Root mean square difference of the dream and what V sees of the game, 0..1."""


@dataclass(frozen=True)
class _Kept:
    """All that is needed to be at a step again."""

    step: int
    dream: DreamState
    real: Moment | None
    seen: DreamState | None
    point: Point


@dataclass(frozen=True)
class Shown:
    """What the page is to show."""

    step: int
    oldest: int
    """First step that can be gone back to."""
    newest: int
    """Last one; beyond `step` only while somebody looks back."""
    screens: list[Picture]
    """The real game's pictures since the step before, (224, 240, 3); none where there is no real game."""
    reconstruction: Picture | None
    """What V makes of the last of them, (64, 64, 3)."""
    dream: Picture
    """(64, 64, 3)."""
    latents: NDArray[np.float32]
    """(Z,)."""
    real_end: str | None
    dream_end: str | None
    point: Point


class Session:
    """One visitor's game and dream.

    Call `begin` first; everything else acts on what it began.
    """

    def __init__(self, world_model: WorldModel, players: Players, starts: Starts) -> None:
        self.world_model = world_model
        self.players = players
        self.demonstration: Demonstration | None = None
        self.reality: Reality | None = None
        self.player = "you"
        self.temperature = 1.0
        self.seed = 0
        self.note = ""
        self._starts = starts
        self._kept: deque[_Kept] = deque(maxlen=STEPS_BACK + 1)
        self._back = 0  # steps that are being looked back
        self._plays: list[int] = []
        self._screens: list[Picture] = []
        self._dreamt: Picture
        self._reconstruction: Picture | None = None

    def begin(self, start: str, seed: int, temperature: float, player: str, plays: str = "") -> None:
        """Begin anew.

        Args:
            start: As `Starts.begin` reads it.
            seed: Of all chance in dream and players.
            temperature: Of the dream.
            player: Who plays, one of `messages.PLAYERS`.
            plays: Actions that are played first whoever plays, as `route.unpack_runs` reads them.

        Raises:
            InputError: there is no such start or player, or an action is none of the action set.
        """
        actions = unpack_runs(plays)[:_MOST_PLAYS]
        if actions and max(actions) >= self.world_model.mdn_rnn.actions:
            raise InputError(f"plays: expected actions below {self.world_model.mdn_rnn.actions}, found {max(actions)}")
        self.set_player(player)
        beginning = self._starts.begin(start)
        self.seed, self.temperature, self._plays = seed, temperature, actions
        self.reality, self.note = beginning.reality, beginning.note
        moment, seen = beginning.moment, None
        self.demonstration = None
        if moment is not None:
            seen = beginning.dream
            self.demonstration = Demonstration(_without_screens(moment), beginning.level, seed)
        self.players.reset(seed, 0)
        self._kept.clear()
        self._screens = [] if moment is None else moment.screens
        point = Point(0, 0, None, 0.0, 0.0, self._look(beginning.dream, seen))
        self._kept.append(_Kept(0, beginning.dream, moment and _without_screens(moment), seen, point))
        self._back = 0

    def step(self, buttons: int) -> None:
        """Play one step in game and dream, from wherever the page is looking."""
        self._fork()
        now = self._now
        action, player = self._choose(buttons)
        real, seen, reward = now.real, now.seen, None
        if real is not None and seen is not None and real.end is None and self.reality is not None:
            moment = self.reality.step(action)
            seen = notice(self.world_model, seen, action, moment.frame)
            real, reward = _without_screens(moment), moment.reward
            self._screens = moment.screens
            if self.demonstration is not None:
                self.demonstration.add(action, player, real)
        dream, dreamt, death = now.dream, 0.0, now.point.death
        if dream.end is None:
            dream, promise = dream_on(self.world_model, dream, action, self.temperature, self.seed, now.step + 1)
            dreamt, death = promise.reward, promise.death
        point = Point(now.step + 1, action, reward, dreamt, death, self._look(dream, seen))
        self._kept.append(_Kept(now.step + 1, dream, real, seen, point))

    @property
    def over(self) -> bool:
        """Whether nothing moves any more: the game has ended, where there is one, and the dream too."""
        now = self._now
        return now.dream.end is not None and (now.real is None or now.real.end is not None)

    def sync(self) -> None:
        """Put the dream where the game is: its latent, and the memory of the real steps that led there.

        Raises:
            InputError: there is no real game beside this dream.
        """
        self._fork()
        now = self._now
        if now.seen is None:
            raise InputError("sync: expected a real game beside the dream, found none")
        point = dataclasses.replace(now.point, drift=self._look(now.seen, now.seen))
        self._kept[-1] = dataclasses.replace(now, dream=now.seen, point=point)

    def go_back(self, step: int) -> None:
        """Look at an earlier step, the nearest there is; the next `step` goes on from there."""
        newest = self._kept[-1].step
        self._back = newest - min(max(step, self._kept[0].step), newest)
        now = self._now
        if now.real is not None and self.reality is not None:
            self._screens = [self.reality.go_back(now.real)]
        self._look(now.dream, now.seen)
        self.players.reset(self.seed, now.step)

    def set_luck(self, seed: int) -> None:
        """Let other chances decide from here on."""
        self.seed = seed

    def set_player(self, who: str) -> None:
        """Let somebody else play.

        Raises:
            InputError: there is nobody of that name here.
        """
        if who not in self.players.names:
            raise InputError(f"player: expected one of {', '.join(self.players.names)}, found {who!r}")
        self.player, self._plays = who, []

    def set_latent(self, index: int, value: float) -> None:
        """Change one number of the dream's latent.

        Raises:
            InputError: the latent has no such number.
        """
        size = self.world_model.mdn_rnn.latent_size
        if index >= size:
            raise InputError(f"latent: expected a number below {size}, found {index}")
        self._fork()
        now = self._now
        dream = with_latent(now.dream, index, value)
        point = dataclasses.replace(now.point, drift=self._look(dream, now.seen))
        self._kept[-1] = dataclasses.replace(now, dream=dream, point=point)

    def show(self) -> Shown:
        """What there is to see now."""
        now = self._now
        return Shown(
            step=now.step,
            oldest=self._kept[0].step,
            newest=self._kept[-1].step,
            screens=self._screens,
            reconstruction=self._reconstruction,
            dream=self._dreamt,
            latents=now.dream.latents[0].numpy(),
            real_end=None if now.real is None else now.real.end,
            dream_end=now.dream.end,
            point=now.point,
        )

    @property
    def real_frame(self) -> Picture | None:
        """What V gets of the real game, (64, 64, 3)."""
        return None if self._now.real is None else self._now.real.frame

    @property
    def _now(self) -> _Kept:
        return self._kept[-1 - self._back]

    def _fork(self) -> None:
        """Forget what came after the step that is looked at."""
        gone, self._back = self._back, 0
        for _ in range(gone):
            self._kept.pop()
        if gone and self.demonstration is not None:
            self.demonstration.cut(self._now.step)

    def _choose(self, buttons: int) -> tuple[int, str]:
        now = self._now
        if now.step < len(self._plays):
            return self._plays[now.step], "replay"
        screen = self._screens[-1] if self._screens else None
        going_on = now.real is not None and now.real.end is None
        seen = now.seen if going_on else None  # after the end there is nothing to look at but the dream
        situation = Situation(buttons, now.dream, seen, screen, self.seed, now.step + 1)
        return self.players.choose(self.player, situation), self.player

    def _look(self, dream: DreamState, seen: DreamState | None) -> float | None:
        """Decode what is to be shown; how far the dream is from what V sees of the game."""
        self._dreamt = see(self.world_model, dream.latents)
        self._reconstruction = None if seen is None else see(self.world_model, seen.latents)
        if self._reconstruction is None:
            return None
        difference = self._dreamt.astype(np.float32) - self._reconstruction
        return float(np.sqrt(np.square(difference).mean())) / 255.0


def _without_screens(moment: Moment) -> Moment:
    """For keeping: the emulator's state has the picture in it already."""
    return dataclasses.replace(moment, screens=[])

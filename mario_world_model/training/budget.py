"""How far a training run has come, by updates or by the clock."""

from __future__ import annotations

import math
import time

from mario_world_model.training.ranks import ALONE, Ranks


class Budget:
    """Ends a run after a number of updates, or after a time if one is set, whichever is first."""

    def __init__(self, updates: int, minutes: float, spent: float = 0.0, ranks: Ranks = ALONE) -> None:
        """`spent` are the seconds that an interrupted run has used up; all ranks go by the clock of the first."""
        self._updates = max(1, updates)
        self._seconds = minutes * 60.0
        self._ranks = ranks
        self._begun = time.monotonic() - spent

    @property
    def spent(self) -> float:
        """Seconds since the run began, those before an interruption included."""
        return time.monotonic() - self._begun

    def progress(self, update: int) -> float:
        """Share of the run that is over, 0 to 1."""
        share = update / self._updates
        if self._seconds:
            share = max(share, self._ranks.told(time.monotonic() - self._begun) / self._seconds)
        return min(1.0, share)

    def per_second(self, units: int) -> float:
        """Units done so far, a second."""
        return units / max(1e-9, time.monotonic() - self._begun)

    def rate_scale(self, update: int) -> float:
        """Factor of the learning rate: a cosine from 1 to 0.1 over the run (Loshchilov & Hutter 2017, equation 5)."""
        return 0.55 + 0.45 * math.cos(math.pi * self.progress(update))

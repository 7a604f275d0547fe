"""When the next step is due: a fixed rate that lets a key bring its own step forward."""

from __future__ import annotations

# How much of a step a hastened one is paid back with at most, step by step: a pause nobody sees.
_SLACK = 0.125


class Clock:
    """Time in slots of one step each; a step is made at the end of its slot, or earlier if a key asks for it.

    However often keys change, a slot holds exactly one step, so that the rate is that of the slots. A
    person's key is answered at once instead of up to a slot later.

    Args:
        now: Monotonic time, seconds.
        period: Length of a slot, seconds.
    """

    def __init__(self, now: float, period: float) -> None:
        self.period = period
        self._opens = now
        self.due = now + period
        """When the next step is to be made."""

    def hasten(self, now: float) -> None:
        """A key changed: make the step of the present slot now, or the next one as its slot opens."""
        self.due = min(self.due, max(now, self._opens))

    def stepped(self, now: float) -> None:
        """A step was made at `now`; slots that went by while it was computed are not made up for."""
        self._opens += self.period
        if now > self._opens + self.period:
            self._opens = now
        self.due = min(self._opens + self.period, max(self._opens, now + (1.0 + _SLACK) * self.period))

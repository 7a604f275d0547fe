"""What a run shows of itself: a picture that is kept up to date in a terminal, plain lines everywhere else."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mario_world_model.training.rounds import COLUMNS, Round, describe_round, row
from mario_world_model.utils.progress import shown_by

_REFRESHES = 1  # a second; drawing takes milliseconds, for which the stage waits
_BAR_WIDTH = 30


class StageProgress:
    """How far the present stage is; takes what a bar of tqdm takes."""

    def __init__(self, total: float, done: float, unit: str) -> None:
        self.total, self.n, self.unit = total, done, unit
        self.figures: dict[str, object] = {}
        self._first, self._begun = done, time.monotonic()

    def update(self, n: float = 1) -> None:
        self.n += n

    def set_postfix(self, **figures: object) -> None:
        self.figures = figures

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Its last state stays to be seen."""

    @property
    def rate(self) -> float:
        """Units a second, of those done since the beginning."""
        return (self.n - self._first) / max(1e-9, time.monotonic() - self._begun)

    @property
    def remaining(self) -> float | None:
        """Seconds; None where nothing is done yet."""
        return max(0.0, self.total - self.n) / self.rate if self.rate > 0 else None


class RunView:
    """The stages and rounds of one run as they go by."""

    def __init__(self, title: str, stages: int, rounds: int) -> None:
        """`stages` and `rounds` are how many there are at most."""
        self._title, self._stages, self._rounds = title, stages, rounds
        self._begun = time.monotonic()
        self._number = 0
        self._name = ""
        self._last = ""
        self._progress: StageProgress | None = None
        self._done: list[Round] = []
        self._round_begun = self._begun
        console = Console()
        watched = sys.stdout.isatty() and sys.stderr.isatty() and not console.is_dumb_terminal
        self._live = (
            Live(console=console, get_renderable=self._picture, refresh_per_second=_REFRESHES) if watched else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._live.console.show_cursor()  # a program that is killed could not bring it back
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """While this lasts a stage is at work."""
        self._number += 1
        self._name, self._progress = name, None
        if self._live is None:
            print(f"stage {self._number} of at most {self._stages}: {name}", flush=True)
            yield
        else:
            with shown_by(self._show):
                yield

    def stage_done(self, name: str, figures: object, seconds: float) -> None:
        """Say what a stage gave, a dataclass of numbers, and how long it took."""
        assert dataclasses.is_dataclass(figures)
        assert not isinstance(figures, type)
        named = {key.replace("_", " "): value for key, value in dataclasses.asdict(figures).items()}
        said = ", ".join(f"{key} {_number(value)}" for key, value in named.items())
        self._last = f"{name}: {said}; {clock(seconds)}"
        if self._live is None:
            print(f"  {self._last}", flush=True)

    def round_done(self, result: Round) -> None:
        """Say what a round gave."""
        self._done.append(result)
        self._round_begun = time.monotonic()
        if self._live is None:
            print(describe_round(len(self._done) - 1, result), flush=True)

    def _show(self, total: float, done: float, unit: str) -> StageProgress:
        self._progress = StageProgress(total, done, unit)
        return self._progress

    def _picture(self) -> Group:
        parts: list[Table | Text] = [Text(f"{self._title}, {clock(time.monotonic() - self._begun)}", style="bold")]
        if self._done:
            parts.append(self._table())
        if self._name:
            parts.append(Text(f"stage {self._number} of at most {self._stages}: {self._name}"))
        if self._progress is not None:
            parts += [self._bar(self._progress), Text(_figures(self._progress))]
        if self._last:
            parts.append(Text(f"last: {self._last}", style="dim"))
        left = self._rounds - len(self._done)
        if self._done and left:
            seconds = left * self._done[-1].seconds - (time.monotonic() - self._round_begun)
            parts.append(Text(f"about {clock(max(0.0, seconds))} for the other rounds, if all {left} are needed"))
        return Group(*parts)

    def _table(self) -> Table:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for name in COLUMNS:
            table.add_column(name, justify="right")
        for number, result in enumerate(self._done):
            table.add_row(*row(number, result, clock(result.seconds)))
        return table

    def _bar(self, at: StageProgress) -> Table:
        line = Table.grid(padding=(0, 1))
        left = "" if at.remaining is None else f"{clock(at.remaining)} left"
        if at.unit == "%":
            amount, rate = f"{at.n:.0f} %", ""
        else:
            amount, rate = f"{at.n:,.0f} of {at.total:,.0f} {at.unit}s", f"{at.rate:.2f} a second"
        line.add_row(ProgressBar(max(1.0, at.total), at.n, _BAR_WIDTH), amount, rate, left)
        return line


def _figures(at: StageProgress) -> str:
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in at.figures.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"

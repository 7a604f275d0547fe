"""What every stage's benchmark is given, and where it leaves what it finds."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure, Work
from benchmarks.tables import shortened
from mario_world_model.config import CollectConfig
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.training.data_collection import collect


@dataclass
class Bench:
    """A run of benchmarks."""

    quick: bool
    scratch: Path
    """A folder that is removed afterwards."""
    figures: list[Figure] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    _dataset: Dataset | None = None

    @property
    def repeats(self) -> int:
        return 3 if self.quick else 9

    def found(self, figure: Figure) -> None:
        """Take a figure down and say it."""
        self.figures.append(figure)
        print(line_of(figure), flush=True)

    @property
    def dataset(self) -> Dataset:
        """Episodes of exploration, one file each."""
        if self._dataset is None:
            output = self.scratch / "rollouts"
            collect(CollectConfig(episodes=32 if self.quick else 128, output=output))
            self._dataset = open_dataset(output)
        return self._dataset


def line_of(figure: Figure) -> str:
    """A figure as a line of text."""
    bound = "≥" if figure.at_least else "≤"
    verdict = "reached" if figure.reached else "MISSED"
    value = f"{shortened(figure.value)} {figure.unit}"
    aim = f"{bound} {shortened(figure.reach)}"
    return f"{figure.stage:16} {value:>12} {aim:>8} {verdict:8} {figure.what} ({figure.measured})"


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder on the disk that logs go to: a folder for temporary files may be memory, and data sets are large."""
    logs = Path("logs")
    logs.mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="bench-", dir=logs)

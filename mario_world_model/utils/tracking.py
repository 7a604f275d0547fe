"""Scalars and pictures of a run: TensorBoard, the same scalars as JSON lines, and for who asks Weights & Biases."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from mario_world_model.config import to_plain
from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.weights_and_biases import Mirror

_SCHEMA = 1


class Tracker:
    """Log of one stage, in logs/<stage>/<date-time>/.

    With `earlier`, the folder there of an interrupted run and the step at which its state was saved, that log goes
    on, and what it says of later steps is dropped: they come again. A log that is `mirrored` goes to Weights & Biases
    too, its pictures left out.
    """

    def __init__(
        self,
        logs: Path,
        stage: str,
        config: object,
        earlier: tuple[Path, int] | None = None,
        mirrored: bool = False,
    ) -> None:
        step = 0
        # Where it is was read from a file, which may be a stranger's.
        if earlier is not None and earlier[0].is_dir() and earlier[0].resolve().parent == (logs / stage).resolve():
            self.folder, step = earlier
        else:
            self.folder = _new_folder(logs / stage)
        self._mirror = Mirror(self.folder, stage, config) if mirrored else None
        if not isinstance(threading.excepthook, _UnlessReported):
            threading.excepthook = _UnlessReported(threading.excepthook)
        with self._one_line_faults():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.json").write_text(json.dumps(to_plain(config), indent=2) + "\n")
            _drop_lines_after(self.folder / "scalars.jsonl", step)
            self._lines = (self.folder / "scalars.jsonl").open("a")
            self._writer = SummaryWriter(str(self.folder), purge_step=step + 1 if step else None)

    def scalars(self, step: int, **values: float) -> None:
        """Record named figures at a step; a double underscore in a name becomes a slash."""
        named = {name.replace("__", "/"): float(value) for name, value in values.items()}
        with self._one_line_faults():
            for name, value in named.items():
                self._writer.add_scalar(name, value, step)
            self._lines.write(json.dumps({"step": step, "time": round(time.time(), 3), **named}) + "\n")
            self._lines.flush()
        if self._mirror is not None:
            self._mirror.scalars(step, named)

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Record an image, uint8 (H, W, 3)."""
        with self._one_line_faults():
            self._writer.add_image(name, picture, step, dataformats="HWC")

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mirror is not None:
            self._mirror.close(failed=kind is not None)
        try:
            with self._one_line_faults(), contextlib.closing(self._writer), contextlib.closing(self._lines):
                pass
        except InputError:
            if kind is None:  # else it would hide what went wrong first
                raise

    @contextlib.contextmanager
    def _one_line_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error


class _UnlessReported:
    """What becomes of an exception that ended a thread.

    TensorBoard writes in threads of its own, and says what failed there at our next call: once is enough. It stays for
    good, since such a thread may end later than the log is closed.
    """

    def __init__(self, otherwise: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._otherwise = otherwise

    def __call__(self, fault: threading.ExceptHookArgs) -> None:
        from_tensorboard = type(fault.thread).__module__.startswith("tensorboard.")
        if not (from_tensorboard and issubclass(fault.exc_type, OSError)):
            self._otherwise(fault)


class Untracked:
    """The log of a process that leaves logging to another."""

    def scalars(self, step: int, **values: float) -> None:
        """Nothing."""

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Nothing."""

    def __enter__(self) -> Untracked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


def _new_folder(logs: Path) -> Path:
    """A folder named by the time, which may have been put back: no other run's is taken."""
    name = time.strftime("%Y%m%d-%H%M%S")
    names = (logs / f"{name}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(folder for folder in names if not folder.exists())


def _drop_lines_after(path: Path, step: int) -> None:
    """Keep the whole lines of a log up to a step."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            if not line.endswith("\n") or json.loads(line)["step"] > step:
                break
        except (ValueError, KeyError, TypeError):
            break
        kept.append(line)
    with written_whole(path) as temporary:
        temporary.write_text("".join(kept))


def config_file(output: Path) -> Path:
    """Where the configuration that made an output is kept."""
    return output.with_name(output.name + ".json")


def save_config(output: Path, config: object, **more: Any) -> None:
    """Keep the merged configuration beside what it made, as <output>.json, and what else is to be known of it."""
    beside = config_file(output)
    content: Any = {"stage": type(config).__name__, "schema": _SCHEMA, **to_plain(config), **more}
    with written_whole(beside) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")

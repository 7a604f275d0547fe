"""What an interrupted run of a stage goes on from, and what a finished one is known by.

While a stage is at work, `<output>.resume` holds its weights, its optimiser, its random generators and its
counters. Batches are addressed by seed, epoch and number, so that the counters say which comes next. When
the stage has finished, its figures stand in `<output>.json` and the file is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import reprlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mario_world_model.config import LookaheadConfig
from mario_world_model.errors import InputError
from mario_world_model.training.figures import Figures, figures_from_plain
from mario_world_model.training.ranks import ALONE, Ranks
from mario_world_model.utils.checkpoint import Checkpoint, fill_weights, load_checkpoint, save_checkpoint
from mario_world_model.utils.cost import Cost, cost, cost_of, hours
from mario_world_model.utils.hashes import file_sha256
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.signals import stop_asked
from mario_world_model.utils.storage import Location
from mario_world_model.utils.tracking import Tracker, Untracked, config_file, save_config
from mario_world_model.utils.weights_and_biases import require_wandb

Part = nn.Module | torch.optim.Optimizer | torch.Generator
# What these are changes nothing that a run makes.
_IRRELEVANT = {"preset", "workers", "cluster", "stages", "resume", "save_every", "skip_damaged", "trust", "wandb"}
# Settings that earlier versions did not have, and what these did: said only where it is something else, so that what
# they began is gone on with.
_AS_BEFORE = {
    "precision": "float32",
    "begin_in_danger": False,
    "compile": False,
    "average": False,
    "beta_nll": 0.0,
    "round_rate": 1.0,
    "last_share": 0.0,
    "time_factor": 1.0,
    "stray": 0.0,
    "round_stray": 0.0,
    "round_stray_alone": 0.0,
    "ending_heads": 0,
    "ending_epochs": 4,
    **{item.name: item.default for item in dataclasses.fields(LookaheadConfig)},
    "lookahead_second": 0,
    "lookahead_death_cost": 600.0,
    "lookahead_again": 1.0,
    "lookahead_still": 0,
    "lookahead_patience": 0,
    "lookahead_precision": "float32",
}


class StageConfig(Protocol):
    """What every resumable stage's configuration has."""

    @property
    def output(self) -> Path: ...
    @property
    def logs(self) -> Path: ...
    @property
    def wandb(self) -> bool: ...
    @property
    def resume(self) -> bool: ...
    @property
    def save_every(self) -> float: ...


class Run:
    """One run of one stage, from its start or from where an interrupted one stopped.

    As a context it is the only run with its output. Raises InputError on entering when another process is at
    the same output, or an interrupted run there had other settings or inputs.
    """

    def __init__(
        self, stage: str, config: StageConfig, inputs: Mapping[str, str | Path | None], ranks: Ranks = ALONE
    ) -> None:
        """`inputs` are fingerprints, or files to be fingerprinted, of all that the stage reads.

        Of several `ranks` the first reads and writes, and tells the others what it found.
        """
        self.file = resume_file(config.output)
        """Where the state is while the run lasts."""
        self._stage, self._config = stage, config
        self._settings = settings_of(config)
        self._inputs = {name: file_sha256(one) if isinstance(one, Path) else one for name, one in inputs.items()}
        self._ranks = ranks
        self._lock = sole_writer(config.output) if ranks.first else contextlib.nullcontext()
        self._parts: dict[str, Part] = {}
        self._saved: Checkpoint | None = None
        self._figures: dict[str, Any] | None = None
        self._tracker: Tracker | None = None
        self._last_save = self._begun = time.monotonic()

    def __enter__(self) -> Run:
        if self._config.wandb:
            require_wandb()
        self._lock.__enter__()
        try:
            if self._ranks.first and self._config.resume and self.file.is_file():
                self._saved = load_checkpoint(self.file, self._kind)
                self._refuse_others(self._saved.config)
                self._begun -= _seconds(self._saved.config, self.file)
            elif self._ranks.first and self._config.resume:
                self._figures = self._finished_before()
            self._saved, self._figures = self._ranks.told((self._saved, self._figures))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def finished(self, figures: type[Figures]) -> Figures | None:
        """The figures of this very run, if it finished before and its output is still there."""
        if self._figures is None:
            return None
        try:
            found = figures_from_plain(figures, self._figures)
        except ValueError:
            return None  # noted by another version, or by nobody
        self._say(f"{self._config.output}: complete already; --no-resume starts over")
        return found

    def restore(self, counters: Mapping[str, Any], **parts: Part) -> dict[str, Any]:
        """Name all that changes while the stage works; returns the counters it was left with, if any.

        `counters` are an example of these, whose form those of a file must have (`_has_form`). Parts of an
        interrupted run are put back as they were, torch's own generator included. From here on what an earlier run
        has left is replaced: everything that can be refused has been.
        """
        self._parts = parts
        if self._ranks.first:
            if not self._config.resume:
                self._start_over()
            save_config(self._config.output, self._config)
        if self._saved is None:
            return {}
        tensors, found = self._saved.tensors, dict(self._saved.config["counters"])
        if not _has_form(found, counters):
            raise damaged(self.file)
        for name, part in parts.items():
            _put_back(part, {key: tensors[key] for key in tensors if key.startswith(f"{name}.")}, name, self.file)
        try:
            torch.set_rng_state(tensors["torch.cpu"])
            if "torch.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["torch.cuda"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise damaged(self.file) from error
        self._say(f"{self.file}: going on from step {self._saved.config['step']}")
        before = self._saved.config.get("ranks", 1)
        if before != self._ranks.count:
            self._say(f"begun by {before} of torchrun's processes, now {self._ranks.count}: the same but for rounding")
        return found

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Tensors that an interrupted run gave to `reached` beside its parts."""
        tensors = {} if self._saved is None else self._saved.tensors
        return {name.removeprefix("array."): one for name, one in tensors.items() if name.startswith("array.")}

    def tracker(self, stage: str) -> Tracker | Untracked:
        """The log of the run; that of an interrupted one is taken up where its state was saved."""
        if not self._ranks.first:
            return Untracked()
        earlier = None if self._saved is None else (Path(self._saved.config["log"]), int(self._saved.config["step"]))
        self._tracker = Tracker(self._config.logs, stage, self._config, earlier, self._config.wandb)
        return self._tracker

    def reached(self, step: int, counters: dict[str, Any], arrays: Mapping[str, Tensor] | None = None) -> None:
        """Called between two steps: save when it is time; save and raise `Stopped` when a signal has come."""
        stop = self._ranks.any_of(stop_asked())
        if self._ranks.first and (stop is not None or self.due):
            self.save(self.state(step, counters, arrays or {}))
        if stop is not None:
            raise stop

    @property
    def seconds(self) -> float:
        """Since the run began, those before an interruption included."""
        return time.monotonic() - self._begun

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._last_save >= self._config.save_every

    def state(self, step: int, counters: dict[str, Any], arrays: Mapping[str, Tensor]) -> Checkpoint:
        """The state as it is now; tensors are shared with the parts."""
        tensors = {name: tensor for part in self._parts for name, tensor in _taken_apart(part, self._parts[part])}
        tensors |= {f"array.{name}": tensor for name, tensor in arrays.items()}
        tensors["torch.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["torch.cuda"] = torch.cuda.get_rng_state()
        content = {
            "settings": self._settings,
            "inputs": self._inputs,
            "step": step,
            "ranks": self._ranks.count,
            "seconds": self.seconds,
            "log": "" if self._tracker is None else str(self._tracker.folder),
            "counters": counters,
        }
        return Checkpoint(self._kind, content, tensors, {})

    def save(self, state: Checkpoint) -> None:
        """Write a state down."""
        save_checkpoint(self.file, state)
        self._last_save = time.monotonic()

    def go_back(self, state: Checkpoint) -> None:
        """Have `restore` go on from a state of this run."""
        self._saved = state

    def finish(
        self, figures: object, parallel: int | None, init: Path | None = None, data: float | None = None
    ) -> None:
        """The output is written: note the figures and what they took, and forget the state.

        `parallel` are the threads or processes that it worked with, None where nobody counts them, `init` is what it
        began from, `data` the core-hours of the episodes that it was trained on.
        """
        assert dataclasses.is_dataclass(figures)
        assert not isinstance(figures, type)
        if not self._ranks.first:
            return
        record = {
            "figures": dataclasses.asdict(figures),
            "settings": self._settings,
            "inputs": self._inputs,
            "sha256": file_sha256(self._config.output),
            "cost": dataclasses.asdict(self.cost(parallel, init, data)),
        }
        save_config(self._config.output, self._config, finished=record)
        self.file.unlink(missing_ok=True)

    def cost(self, parallel: int | None, init: Path | None = None, data: float | None = None) -> Cost:
        """What the run has taken so far; arguments as for `finish`."""
        earlier = [] if init is None else [hours(cost_of(init))]
        return cost(self.seconds, parallel, *earlier, data=data, ranks=self._ranks.count)

    @property
    def _kind(self) -> str:
        return f"{self._stage} resume"

    def _say(self, text: str) -> None:
        if self._ranks.first:
            print(text, file=sys.stderr)

    def _start_over(self) -> None:
        if self.file.exists():
            print(f"{self.file}: given up; starting over", file=sys.stderr)
            self.file.unlink()
        elif self._config.output.exists():
            print(f"{self._config.output}: starting over; it is replaced in the end", file=sys.stderr)

    def _refuse_others(self, found: dict[str, Any]) -> None:
        """Refuse to go on under settings or with inputs that are not those of the interrupted run."""
        parts = {"settings": dict, "inputs": dict, "step": int, "log": str, "counters": dict}
        if any(not isinstance(found.get(name), kind) for name, kind in parts.items()):
            raise damaged(self.file)
        for name, here, there in (
            *_differences(self._settings, found["settings"]),
            *_differences(self._inputs, found["inputs"]),
        ):
            raise InputError(
                f"{self.file}: expected the interrupted run of this command, found one with another {name} "
                f"({reprlib.repr(there)}, here {reprlib.repr(here)}); go on with its flags, or start over with "
                "--no-resume"
            )

    def _finished_before(self) -> dict[str, Any] | None:
        """The figures of an earlier run like this one, if its output is there unchanged."""
        try:
            record = json.loads(config_file(self._config.output).read_text())["finished"]
            same = record["settings"] == self._settings and record["inputs"] == self._inputs
            if same and record["sha256"] == file_sha256(self._config.output):
                return dict(record["figures"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass  # there is no record of one
        return None


def _has_form(found: Any, example: Any) -> bool:
    """Whether plain values are like some others: counts from 0 up, numbers, dicts with at least these entries and
    numbers else, pairs (tuples) of the same length, lists of any."""
    if isinstance(example, int):
        return type(found) is int and 0 <= found <= sys.maxsize
    if isinstance(example, float):
        return type(found) is float and not math.isnan(found)
    if isinstance(example, Mapping):
        there = isinstance(found, dict) and example.keys() <= found.keys()
        return there and all(_has_form(one, example.get(name, 0.0)) for name, one in found.items())
    if not isinstance(found, list):
        return False
    if isinstance(example, tuple):
        return len(found) == len(example) and all(map(_has_form, found, example))
    return all(_has_form(one, example[0]) for one in found)


def _seconds(state: dict[str, Any], file: Path) -> float:
    """What an interrupted run has taken; older states have it among their counters alone."""
    seconds = state.get("seconds", state["counters"].get("seconds"))
    if not isinstance(seconds, float):
        raise damaged(file)
    return seconds


def resume_file(output: Path) -> Path:
    """Where the state of a run with this output is."""
    return output.with_name(output.name + ".resume")


def damaged(file: Path) -> InputError:
    """What to say of a state that cannot be gone on from."""
    return InputError(f"{file}: expected the state of an interrupted run, found a damaged one; --no-resume starts over")


def settings_of(config: object) -> dict[str, Any]:
    """Every setting on which the outcome depends; files count by their content, not by their place."""
    assert dataclasses.is_dataclass(config)
    found: dict[str, Any] = {}
    if isinstance(config, LookaheadConfig) and not config.lookahead:
        return found  # who does not look ahead has no use for how
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            found |= settings_of(value)
        elif item.name in _AS_BEFORE and value == _AS_BEFORE[item.name]:
            continue
        elif item.name not in _IRRELEVANT and not isinstance(value, Location):
            found[item.name] = list(value) if isinstance(value, tuple) else value
    return found


def _differences(here: dict[str, Any], there: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(set(here) | set(there)):
        if here.get(name) != there.get(name):
            yield name, here.get(name), there.get(name)


def _taken_apart(name: str, part: Part) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a network, an optimiser or a generator, by name."""
    if isinstance(part, torch.Generator):
        yield f"{name}.state", part.get_state()
    elif isinstance(part, nn.Module):
        yield from ((f"{name}.{key}", tensor) for key, tensor in part.state_dict().items())
    else:
        for index, state in part.state_dict()["state"].items():
            yield from ((f"{name}.{index}.{key}", tensor) for key, tensor in state.items())


def _put_back(part: Part, tensors: dict[str, Tensor], name: str, file: Path) -> None:
    own = {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items()}
    try:
        if isinstance(part, torch.Generator):
            part.set_state(own["state"])
        elif isinstance(part, nn.Module):
            fill_weights(part, own, file)
        else:
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in own.items():
                index, entry = key.split(".")
                state.setdefault(int(index), {})[entry] = tensor
            weights = [weight for group in part.param_groups for weight in group["params"]]
            for number, entries in state.items():
                if any(one.ndim and one.shape != weights[number].shape for one in entries.values()):
                    raise ValueError(f"{name}.{number}")
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError) as error:
        raise damaged(file) from error

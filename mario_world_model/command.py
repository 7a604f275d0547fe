"""From flags to a configuration, and from a mistake to one line and an exit status."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, get_args

import tyro

from mario_world_model.config import PresetName, preset_config
from mario_world_model.errors import InputError
from mario_world_model.utils.signals import Stopped, stop_signals

Config = TypeVar("Config")

# tyro draws its messages in a box; a mistake is to be one line.
_BOX = re.compile("[│╭╮╰╯─]+")
_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")  # more than one letter: C:/ is a drive


def parse_flags(config_class: type[Config], arguments: Sequence[str], program: str) -> Config:
    """Merge flags over the preset they name over the defaults.

    Raises InputError for a flag or value that is refused, SystemExit(0) after --help.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="default")
    preset = first.parse_known_args(arguments)[0].preset
    if preset not in get_args(PresetName):
        raise InputError(f"--preset: expected one of {', '.join(get_args(PresetName))}, found {preset!r}")
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            config: Config = tyro.cli(
                config_class,
                args=list(arguments),
                default=preset_config(config_class, preset),
                prog=program,
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise InputError(f"{_message(messages.getvalue())} ({program} --help lists the flags)") from None
    _refuse_addresses(config)
    return config


def _refuse_addresses(config: object) -> None:
    """A path that is the address of an object store has lost one of its slashes, and would become a folder here."""
    assert dataclasses.is_dataclass(config)
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if isinstance(value, Path) and _ADDRESS.match(value.as_posix()):
            raise InputError(f"--{item.name.replace('_', '-')}: expected a path of this machine, found {value}")


def _message(boxed: str) -> str:
    """The text inside tyro's box: what stands between its title and its first rule."""
    lines = [_BOX.sub("", line).strip() for line in boxed.splitlines()][1:]
    return " ".join(lines[: lines.index("")] if "" in lines else lines)


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0]


def _keeps_what_is_done(config: object) -> bool:
    """Whether a stage can be gone on with: by its setting, and if it has somewhere to keep what is done."""
    return hasattr(config, "resume") and getattr(config, "output", None) is not None


def run_command(
    config_class: type[Config],
    action: Callable[[Config], object],
    program: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a stage from its flags; the exit status is 0, 2 after bad input, 130 after Ctrl-C, 143 after SIGTERM."""
    config: Config | None = None
    try:
        with stop_signals():
            config = parse_flags(config_class, sys.argv[1:] if arguments is None else arguments, program)
            action(config)
    except InputError as mistake:
        # What a library said may be part of it, over several lines, and what a file said, which may steer a terminal.
        line = " ".join(str(mistake).split())
        print(f"{program}: {''.join(one if one.isprintable() else '�' for one in line)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        goes_on = "; the same command goes on from here" if _keeps_what_is_done(config) else ""
        print(f"{program}: interrupted{goes_on}", file=sys.stderr)
        return stop.status if isinstance(stop, Stopped) else 130
    except (MemoryError, RuntimeError) as fault:
        # torch's, for the memory of a GPU, is a RuntimeError.
        if not isinstance(fault, MemoryError) and type(fault).__name__ != "OutOfMemoryError":
            raise
        print(f"{program}: out of memory; a smaller --batch-size may help ({_first_line(fault)})", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of a pipe (head, less) has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as fault:
        # A full disk, a missing permission: the machine's answer, not a fault of the program.
        print(f"{program}: {fault.filename or 'a file'}: {fault.strerror or fault}", file=sys.stderr)
        return 2
    return 0

"""The scalars of a run on Weights & Biases too, for those who ask for it with --wandb.

Where they go is for its own variables to say: WANDB_PROJECT, WANDB_MODE=offline, which needs no network, and the rest.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import ModuleType
from typing import Any

from mario_world_model.config import to_plain
from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole

_PROJECT = "mario-world-model"


class Mirror:
    """One run there, of the log in one folder; a log that goes on goes on there."""

    def __init__(self, folder: Path, stage: str, config: object) -> None:
        wandb = require_wandb()
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                id=_identity(folder / "wandb.id"),
                resume="allow",
                name=f"{stage} {folder.name}",
                job_type=stage,
                dir=str(folder),
                config=to_plain(config),
                # Its way of reading the terminal would break bars and views.
                settings=wandb.Settings(console="off", silent=True),
            )
        except Exception as error:  # no account, no network: its errors have no common name
            raise InputError(f"--wandb: Weights & Biases refused ({error}); try WANDB_MODE=offline") from error

    def scalars(self, step: int, named: dict[str, float]) -> None:
        """Record figures by the names that TensorBoard has."""
        self._run.log(named, step=step)

    def close(self, failed: bool) -> None:
        """End the run there."""
        self._run.finish(exit_code=int(failed))


def require_wandb() -> ModuleType:
    """The library; raises InputError where it is not installed."""
    try:
        import wandb  # an extra, and it takes a second
    except ImportError as error:
        raise InputError("--wandb: expected Weights & Biases, found it missing: pip install wandb") from error
    found: ModuleType = wandb
    return found


def _identity(file: Path) -> str:
    """By which the run is known there, kept beside the log."""
    if file.is_file():
        return file.read_text().strip()
    identity = secrets.token_hex(8)
    with written_whole(file) as temporary:
        temporary.write_text(identity + "\n")
    return identity

"""Where the process of a session begins. What plays and dreams is loaded there, and not in the server."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from pathlib import Path

from mario_world_model.config import ConsoleConfig
from mario_world_model.utils.storage import Location


@dataclass(frozen=True)
class Material:
    """What a session is made of, in plain values."""

    vae: Path
    mdnrnn: Path
    controller: Path
    ppo: Path | None
    dataset: Location | None
    keep: Path
    """Folder of the data set to which demonstrations are added."""
    console: ConsoleConfig


def run_session(connection: Connection, material: Material, keeping: Lock) -> None:
    """The whole life of a session's process; `process.live` has it."""
    from mario_world_model.playground.process import live

    live(connection, material, keeping)

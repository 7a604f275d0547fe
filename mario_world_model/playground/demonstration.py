"""What was played on the page, kept as an episode of a data set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from multiprocessing.synchronize import Lock
from pathlib import Path

import numpy as np

from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Controls
from mario_world_model.playground.reality import Moment
from mario_world_model.rollouts.dataset import episode_files, open_dataset
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, check_episode, content_hash
from mario_world_model.rollouts.episode_file import SUFFIX, write_episode


@dataclass
class Demonstration:
    """The real game since it began, or since it was gone back in."""

    begun: Moment
    level: bool
    """Whether it began at the start of a level."""
    seed: int
    moments: list[Moment] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    players: list[str] = field(default_factory=list)
    file: Path | None = None
    """Where it was kept before; kept again, it takes that place."""

    def add(self, action: int, player: str, moment: Moment) -> None:
        """Take a step in."""
        self.actions.append(action)
        self.players.append(player)
        # Nobody goes back in it, and a level's worth of emulator states would take 50 MB.
        self.moments.append(dataclasses.replace(moment, state=b""))

    def cut(self, steps: int) -> None:
        """Forget all after the first `steps` steps: somebody went back and goes on from there."""
        for part in (self.actions, self.players, self.moments):
            del part[steps:]

    def episode(self, controls: Controls, env_id: str, backend: str, rom_sha1: str, index: int) -> Episode:
        """The episode so far; one that nobody has finished is truncated."""
        moments = [self.begun, *self.moments]
        arrays = (
            np.stack([moment.frame for moment in moments]),
            np.array(self.actions, dtype=np.uint8),
            np.array([moment.reward for moment in self.moments], dtype=np.float32),
            np.stack([moment.truth for moment in moments]),
        )
        terminated = moments[-1].end is not None
        info = EpisodeInfo(
            env=env_id,
            seed=self.seed,
            index=index,
            policy="+".join(sorted({"human" if player == "you" else player for player in self.players})),
            actions=controls.actions,
            frame_skip=controls.frame_skip,
            sticky=0.0,
            noops=0,
            backend=backend,
            rom_sha1=rom_sha1,
            mask_hud=controls.view.mask_hud,
            terminated=terminated,
            truncated=not terminated,
            truth_fields=TRUTH_FIELDS,
            start="level" if self.level else "archive",
            sha256=content_hash(*arrays),
        )
        return Episode(*arrays, info)

    def keep(
        self, folder: Path, keeping: Lock, controls: Controls, env_id: str, backend: str, rom_sha1: str
    ) -> tuple[Path, int]:
        """Add the episode to a data set in `folder`; its file and its steps.

        Raises:
            InputError: nothing was played yet, or the folder holds a data set under other controls.
        """
        if not self.actions:
            raise InputError("keep: expected an episode of at least one step, found none")
        with keeping:
            there = episode_files(folder)
            if there:
                _require_same(open_dataset(folder).controls, controls, folder)
            file = self.file or folder / f"episode-{_next_index(there):06d}{SUFFIX}"
            index = int(file.stem.removeprefix("episode-"))
            episode = self.episode(controls, env_id, backend, rom_sha1, index)
            write_episode(file, check_episode(episode, str(file)))
        self.file = file
        return file, len(episode)


def _next_index(there: list[Path]) -> int:
    return 1 + max((int(file.stem.removeprefix("episode-")) for file in there), default=-1)


def _require_same(found: Controls, expected: Controls, folder: Path) -> None:
    if found != expected:
        raise InputError(f"{folder}: expected episodes played under {expected}, found a data set of {found}")

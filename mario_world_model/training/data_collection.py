"""Collect rollouts of the real game.

    python -m mario_world_model.training.data_collection --env SuperMarioBros-1-1-v0 \
        --episodes 50 --output data/mario_rollouts.pkl

A folder instead of a .pkl keeps one file per episode, for data larger than memory:

    python -m mario_world_model.training.data_collection --episodes 500 --output data/mario_rollouts

All of the level, from an archive of places that earlier episodes have reached:

    python -m mario_world_model.training.data_collection --policy explore --episodes 1000 --max-steps 150 \
        --output data/mario_rollouts

More of it by a controller, half of its episodes from those places:

    python -m mario_world_model.training.data_collection --policy checkpoints/controller_mario.pt \
        --vae checkpoints/vae_mario.pt --mdnrnn checkpoints/mdn_rnn_mario.pt --append --elsewhere 0.5 \
        --output data/mario_rollouts

On the nodes of the Ray cluster that this machine is part of:

    python -m mario_world_model.training.data_collection --episodes 5000 --policy biased --cluster auto
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from mario_world_model.command import run_command
from mario_world_model.config import CollectConfig, GameConfig, ViewConfig
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.policies.choice import PolicyChoice, build_policy, choose_policy, controls_of
from mario_world_model.rollouts.archive import Archive, Cell, cell_of, read_archive, write_archive
from mario_world_model.rollouts.dataset import episode_files, open_dataset
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, check_episode, content_hash
from mario_world_model.rollouts.episode_file import SUFFIX, read_episode, write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.rollouts.play import play
from mario_world_model.training.resume import settings_of
from mario_world_model.utils.atomic import sync_folder, written_whole
from mario_world_model.utils.cost import Cost, cost, cost_of_data, hours
from mario_world_model.utils.environment import MarioEnv, Screen, make_env
from mario_world_model.utils.executor import Executor, open_executor
from mario_world_model.utils.hashes import file_sha256
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.preprocessing import Action, preprocess
from mario_world_model.utils.progress import progress
from mario_world_model.utils.seeding import stream
from mario_world_model.utils.tracking import config_file, save_config
from mario_world_model.utils.workers import worker_count

_SCHEMA = 1
_ARCHIVE_STREAM = 2
_EXPLORING_BATCH = 32  # episodes between two looks at the archive; few enough to find new places soon
_ELSEWHERE = 0.8  # share of an exploration's episodes that do not begin at the start of the level
_NOTE_TIME = 10.0  # seconds between two notes of how long a collection has taken


@dataclass(frozen=True)
class _Task:
    """One episode to play and where to put it."""

    game: GameConfig
    view: ViewConfig
    policy: PolicyChoice
    seed: int
    index: int
    max_steps: int
    rom_sha1: str
    file: Path
    marker: Path
    """A folder that is there wherever `file` can be written to."""
    reached: Path | None = None
    """Where to put a state for every cell it comes through, if others are to begin there."""
    start: bytes | None = None
    """State to begin from, where it is not the start of the level."""

    @property
    def written(self) -> bool:
        """Whether its episode is there already."""
        return self.file.exists()

    def write(self, episode: Episode, reached: dict[Cell, bytes]) -> None:
        """Keep the episode: whatever interrupts this, one that is there is there with its states."""
        if self.reached:
            write_archive(self.reached, Archive(reached), 1)
        write_episode(self.file, episode)


@dataclass(frozen=True)
class _Played:
    """What an episode leaves beside its file."""

    steps: int
    reached: dict[Cell, bytes]
    """A state for every cell it came through, if it was to bring any."""
    episode: Episode | None = None
    """The episode itself, if it was played where its file could not be written."""


def collect(config: CollectConfig) -> Path:
    """Play the episodes of a configuration into its data set; returns the path of the data set.

    Goes on where an interrupted collection stopped: at most the unfinished episode of every worker is
    played again.
    """
    with sole_writer(config.output), open_executor(config.cluster, config.workers) as executor:
        return _collect(config, executor)


def _collect(config: CollectConfig, executor: Executor) -> Path:
    choice = choose_policy(config.policy, config.vae, config.mdnrnn, config.trust)
    played_with = controls_of(choice, config.game)
    if played_with != (config.game.actions, config.game.frame_skip):
        raise InputError(
            f"--policy {config.policy}: expected an agent for {config.game.actions} at frame skip "
            f"{config.game.frame_skip}, found one for {played_with[0]} at {played_with[1]}"
        )
    _check_output(config.output)
    rom = find_rom(parse_env_id(config.game.env).mode, config.game.rom)
    partial = _Partial(config)
    if not config.resume:
        partial.give_up()
    elif not config.append and not partial.begun and _finished_before(config):
        print(f"{config.output}: complete already; --no-resume starts over", file=sys.stderr)
        return config.output
    old = open_dataset(config.output) if config.append and config.output.exists() else None
    earlier = [] if old is None else [hours(cost_of_data(old.path, old.fingerprint))]
    before = [] if old is None else list(old.episodes)
    first = partial.open(1 + max((episode.info.index for episode in before), default=-1))
    before = [episode for episode in before if episode.info.index < first]
    if partial.waiting:
        marker = partial.mark()
        elsewhere = _share_elsewhere(config, choice)
        game = dataclasses.replace(config.game, rom=rom)  # a node of a cluster may have none of its own
        tasks = [
            _Task(
                game=game,
                view=config.screen.view(),
                policy=choice,
                seed=config.seed,
                index=index,
                max_steps=config.max_steps,
                rom_sha1=rom_sha1(rom),
                file=partial.episodes / f"episode-{index:06d}{SUFFIX}",
                marker=marker,
                reached=partial.reached / f"episode-{index:06d}{SUFFIX}" if elsewhere else None,
            )
            for index in range(first, first + config.episodes)
            if not (before and (config.output / f"episode-{index:06d}{SUFFIX}").exists())
        ]
        with partial.timed():
            _play(tasks, partial, config.seed, elsewhere, executor)
    parallel = None if config.cluster else worker_count(config.workers)
    _finish(config, choice, partial, before, cost(partial.seconds, parallel, *earlier))
    return config.output


def _share_elsewhere(config: CollectConfig, choice: PolicyChoice) -> float:
    if config.elsewhere is None:
        return _ELSEWHERE if choice.explores else 0.0
    return config.elsewhere


def _play(tasks: Sequence[_Task], partial: _Partial, seed: int, elsewhere: float, executor: Executor) -> None:
    there = sum(task.written for task in tasks)
    if there:
        print(f"{partial.folder}: {there} episodes are there already", file=sys.stderr)
    with progress("episodes", len(tasks), "episode", done=there) as bar:
        steps = 0
        plays = _explore(tasks, partial, seed, elsewhere, executor) if elsewhere else _play_all(tasks, executor)
        for played in plays:
            steps += played.steps
            partial.note_time()
            bar.update()
            bar.set_postfix(steps=steps)


def _play_all(tasks: Sequence[_Task], executor: Executor) -> Iterator[_Played]:
    """Play those episodes that are not there yet, in whatever order they end."""
    for _, played in _played_and_kept([task for task in tasks if not task.written], executor):
        yield played


def _played_and_kept(tasks: Sequence[_Task], executor: Executor) -> Iterator[tuple[int, _Played]]:
    """Play episodes and keep those that their players could not."""
    for index, played in executor.run(_collect_episode, tasks):
        if played.episode is not None:
            tasks[index].write(played.episode, played.reached)
        yield index, dataclasses.replace(played, episode=None)


def _explore(
    tasks: Sequence[_Task], partial: _Partial, seed: int, elsewhere: float, executor: Executor
) -> Iterator[_Played]:
    """Play episodes that begin where earlier ones have been.

    The archive grows between batches of a fixed size, in the order of the episodes, so that the
    number of workers changes nothing.
    """
    archive, done = read_archive(partial.archive)
    for first in range(done, len(tasks), _EXPLORING_BATCH):
        rng = stream(seed, tasks[first].index, _ARCHIVE_STREAM)
        batch = [
            dataclasses.replace(task, start=archive.draw(rng, elsewhere))
            for task in tasks[first : first + _EXPLORING_BATCH]
        ]
        played = {number: _played_before(task) for number, task in enumerate(batch) if task.written}
        waiting = [number for number in range(len(batch)) if number not in played]
        for index, result in _played_and_kept([batch[number] for number in waiting], executor):
            played[waiting[index]] = result
            yield result
        for number in range(len(batch)):
            archive.add(played[number].reached)
        write_archive(partial.archive, archive, first + len(batch))
        shutil.rmtree(partial.reached)


def _played_before(task: _Task) -> _Played:
    """What an exploring episode left, read back from its files."""
    assert task.reached is not None
    return _Played(len(read_episode(task.file)), read_archive(task.reached)[0].states)


def _check_output(output: Path) -> None:
    """Refuse a folder that holds anything but a data set: the new one would take its place."""
    if output.is_dir():
        if output.suffix == ".pkl":
            raise InputError(f"{output}: expected a file or nothing there, found a folder")
        strangers = sorted(set(output.iterdir()) - set(episode_files(output)))
        if strangers:
            raise InputError(f"{output}: expected a data set or nothing there, found {strangers[0].name} in it")
    elif output.is_file() and output.suffix != ".pkl":
        raise InputError(f"{output}: expected a folder or nothing there, found a file")


class _Partial:
    """The folder beside the output in which finished episodes wait for the others.

    Its note, which is removed first, says which collection they belong to; a folder without one is of no
    collection. Once the episodes have become the data set, the note stands there alone.
    """

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        # In full, because a node of a cluster may be at work in another folder.
        self.folder = config.output.with_name(config.output.name + ".partial").absolute()
        self.episodes = self.folder / "episodes"
        self.reached = self.folder / "reached"
        self.archive = self.folder / f"archive{SUFFIX}"
        self.kept_archive = config.output.with_name(f"{config.output.name}.archive{SUFFIX}")
        self._note = self.folder / "collection.json"
        self._clock = self.folder / "seconds"
        self._begun = self._noted = time.monotonic()

    @property
    def begun(self) -> bool:
        """Whether a collection was interrupted."""
        return self._note.is_file()

    @property
    def waiting(self) -> bool:
        """Whether the data set is still to be made."""
        return self.episodes.is_dir()

    def open(self, first: int) -> int:
        """Begin, or go on; returns the index of the first episode, which an interrupted collection knows.

        Raises InputError when that was another collection, or the folder cannot be written.
        """
        if self.begun:
            return self._same_collection()
        places = read_archive(self.kept_archive)[0] if self._config.append else Archive()
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.episodes.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from error
        if places.states:
            write_archive(self.archive, places, 0)
        with written_whole(self._note) as temporary:
            temporary.write_text(note_of(self._config, first))
        return first

    def mark(self) -> Path:
        """A folder of a name that is nowhere else: who sees it, on whatever machine, sees this folder."""
        marker = self.folder / f"here-{uuid.uuid4().hex}"
        marker.mkdir()
        return marker

    @property
    def seconds(self) -> float:
        """That its episodes have taken, as noted last.

        Raises InputError where the note is damaged.
        """
        if not self._clock.is_file():
            return 0.0
        try:
            return float(self._clock.read_text())
        except ValueError as error:
            raise InputError(f"{self._clock}: expected seconds, found a damaged note") from error

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """While this lasts episodes are played."""
        self._noted = time.monotonic()
        self._begun = self._noted - self.seconds
        try:
            yield
        finally:
            self._write_time()

    def note_time(self) -> None:
        """Write down from time to time how long it has taken, for whoever goes on after a loss of power."""
        if time.monotonic() - self._noted > _NOTE_TIME:
            self._write_time()

    def _write_time(self) -> None:
        self._noted = time.monotonic()
        with written_whole(self._clock) as temporary:
            temporary.write_text(str(self._noted - self._begun))

    def give_up(self) -> None:
        """Start over."""
        if self.begun:
            print(f"{self.folder}: given up; starting over", file=sys.stderr)
            self.remove()

    def keep_archive(self, explored: bool) -> None:
        """Leave the places that were reached beside the data set, or none of one that it replaced."""
        if self.archive.is_file():
            self.archive.replace(self.kept_archive)
        elif not (explored or self._config.append):
            self.kept_archive.unlink(missing_ok=True)

    def remove(self) -> None:
        self._note.unlink()
        shutil.rmtree(self.folder)

    def _same_collection(self) -> int:
        try:
            found = json.loads(self._note.read_text())
            first, settings = int(found["first"]), dict(found["settings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{self._note}: expected the note of a collection, found a damaged one") from error
        own = json.loads(note_of(self._config, first))["settings"]
        differing = [name for name in sorted(own | settings) if own.get(name) != settings.get(name)]
        if differing:
            raise InputError(
                f"{self.folder}: expected the beginning of this collection, found one with another "
                f"{differing[0]}; go on with its flags, or start over with --no-resume"
            )
        return first


def collection_waits(output: Path) -> bool:
    """Whether a collection into this data set was broken off."""
    return (output.with_name(output.name + ".partial") / "collection.json").is_file()


def note_of(config: CollectConfig, first: int) -> str:
    """What tells one collection from another: its settings, and the index of its first episode."""
    return json.dumps({"schema": _SCHEMA, "settings": _identity(config), "first": first}, indent=2) + "\n"


def _identity(config: CollectConfig) -> dict[str, Any]:
    """The settings of a collection, and the content of the files that its agent is read from."""
    agent = [path for path in (Path(config.policy), config.vae, config.mdnrnn) if path is not None and path.is_file()]
    return {**settings_of(config), "policy": config.policy if not agent else [file_sha256(path) for path in agent]}


def _finished_before(config: CollectConfig) -> bool:
    """Whether this very collection is what the output holds."""
    try:
        record = json.loads(config_file(config.output).read_text())["finished"]
        same = bool(record["settings"] == _identity(config))
        return same and bool(record["fingerprint"] == open_dataset(config.output).fingerprint)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError):
        return False  # there is no record of one


@functools.lru_cache(maxsize=1)
def _environment(game: GameConfig) -> gymnasium.Env[Screen, Action]:
    """A worker's environment: it lasts, because the way to the start of a level takes as long as 50 steps."""
    return make_env(game)


def _collect_episode(task: _Task) -> _Played:
    """Play one episode and write it, or return it where its folder is out of reach. Runs in a worker process."""
    env = _environment(task.game)
    game = env.unwrapped
    assert isinstance(game, MarioEnv)
    policy = build_policy(task.policy, task.game.actions)
    moments = play(env, policy, task.seed, task.index, task.max_steps, task.start)
    reached: dict[Cell, bytes] = {}
    frames, truth, actions, rewards = [], [], [], []
    for moment in moments:
        frames.append(preprocess(moment.screen, task.view))
        truth.append(moment.truth)
        actions.append(moment.action)
        rewards.append(moment.reward)
        cell = cell_of(moment.info["world"], moment.info["stage"], moment.info["x_pos"])
        if task.reached and cell not in reached and not moment.terminated:
            reached[cell] = game.save_state()
    arrays = (
        np.stack(frames),
        np.array(actions[1:], dtype=np.uint8),
        np.array(rewards[1:], dtype=np.float32),
        np.stack(truth),
    )
    info = EpisodeInfo(
        env=task.game.env,
        seed=task.seed,
        index=task.index,
        policy=task.policy.name,
        actions=task.game.actions,
        frame_skip=task.game.frame_skip,
        sticky=task.game.sticky,
        noops=task.game.noops,
        backend=game.backend,
        rom_sha1=task.rom_sha1,
        mask_hud=task.view.mask_hud,
        terminated=moment.terminated,
        truncated=not moment.terminated,
        truth_fields=TRUTH_FIELDS,
        start="level" if task.start is None else "archive",
        sha256=content_hash(*arrays),
    )
    episode = check_episode(Episode(*arrays, info), str(task.file))
    if not task.marker.is_dir():
        return _Played(len(episode), reached, episode)
    task.write(episode, reached)
    return _Played(len(episode), reached)


def _finish(config: CollectConfig, choice: PolicyChoice, partial: _Partial, before: list[Episode], cost: Cost) -> None:
    """Turn the waiting episodes into the data set and remove their folder; wherever this breaks off it can go on."""
    output = config.output
    if partial.waiting:
        for leftover in partial.episodes.glob(".*"):  # of a worker that was killed while it wrote
            leftover.unlink()
        files = episode_files(partial.episodes)
        if output.suffix == ".pkl":
            write_pickle(output, itertools.chain(before, map(read_episode, files)))
        elif before:
            for file in files:
                file.replace(output / file.name)
            sync_folder(output)
        else:
            if output.is_dir():
                output.replace(partial.folder / "replaced")
            partial.episodes.replace(output)
            sync_folder(output.parent)
    partial.keep_archive(bool(_share_elsewhere(config, choice)))
    fingerprint = open_dataset(output).fingerprint
    record = {"settings": _identity(config), "fingerprint": fingerprint, "cost": dataclasses.asdict(cost)}
    save_config(output, config, finished=record)
    partial.remove()


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(CollectConfig, _report, "mario-world-model collect", arguments)


def _report(config: CollectConfig) -> None:
    dataset = open_dataset(collect(config))
    print(f"{dataset.path}: {len(dataset.episodes)} episodes, {dataset.steps} steps")


if __name__ == "__main__":
    sys.exit(main())

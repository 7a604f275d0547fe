"""Collect rollouts of the real game.

    python -m mario_world_model.training.data_collection --env SuperMarioBros-1-1-v0 \
        --episodes 50 --output data/mario_rollouts.pkl

A folder instead of a .pkl keeps one file per episode, for data larger than memory:

    python -m mario_world_model.training.data_collection --episodes 500 --output data/mario_rollouts

All of the level, from an archive of places that earlier episodes have reached:

    python -m mario_world_model.training.data_collection --policy explore --episodes 1000 --max-steps 150 \
        --output data/mario_rollouts
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from tqdm import tqdm

from mario_world_model.command import run_command
from mario_world_model.config import CollectConfig, GameConfig, ViewConfig, to_plain
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.policies.choice import PolicyChoice, build_policy, choose_policy, controls_of
from mario_world_model.rollouts.archive import Cell, cell_of, read_archive, write_archive
from mario_world_model.rollouts.dataset import episode_files, open_dataset
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, check_episode, content_hash
from mario_world_model.rollouts.episode_file import SUFFIX, read_episode, write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.rollouts.play import play
from mario_world_model.utils.environment import MarioEnv, Screen, make_env
from mario_world_model.utils.preprocessing import Action, preprocess
from mario_world_model.utils.seeding import stream
from mario_world_model.utils.tracking import save_config
from mario_world_model.utils.workers import WorkerPool, run_tasks

_ARCHIVE_STREAM = 2
_EXPLORING_BATCH = 32  # episodes between two looks at the archive; few enough to find new places soon


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
    exploring: bool = False
    start: bytes | None = None
    """State to begin from, where it is not the start of the level."""


@dataclass(frozen=True)
class _Played:
    """What an episode leaves beside its file."""

    steps: int
    reached: dict[Cell, bytes]
    """A state for every cell it came through, if it was exploring."""


def collect(config: CollectConfig) -> Path:
    """Play the episodes of a configuration into its data set; returns the path of the data set."""
    choice = choose_policy(config.policy, config.vae, config.mdnrnn)
    played_with = controls_of(choice, config.game)
    if played_with != (config.game.actions, config.game.frame_skip):
        raise InputError(
            f"--policy {config.policy}: expected an agent for {config.game.actions} at frame skip "
            f"{config.game.frame_skip}, found one for {played_with[0]} at {played_with[1]}"
        )
    _check_output(config.output)
    rom = find_rom(parse_env_id(config.game.env).mode, config.game.rom)
    before = list(open_dataset(config.output).episodes) if config.append and config.output.exists() else []
    first = 1 + max((episode.info.index for episode in before), default=-1)
    partial = _open_partial(config, first)
    tasks = [
        _Task(
            game=config.game,
            view=config.screen.view(),
            policy=choice,
            seed=config.seed,
            index=index,
            max_steps=config.max_steps,
            rom_sha1=rom_sha1(rom),
            file=partial / f"episode-{index:06d}{SUFFIX}",
            exploring=choice.explores,
        )
        for index in range(first, first + config.episodes)
    ]
    there = sum(task.file.exists() for task in tasks)
    if there:
        print(f"{partial}: {there} episodes are there already", file=sys.stderr)
    with tqdm(total=config.episodes, initial=there, unit="episode", disable=None) as bar:
        steps = 0
        for played in _explore(tasks, partial, config) if choice.explores else _play_all(tasks, config.workers):
            steps += played.steps
            bar.update()
            bar.set_postfix(steps=steps)
    _finish(config.output, partial, before)
    save_config(config.output, config)
    return config.output


def _play_all(tasks: Sequence[_Task], workers: int) -> Iterator[_Played]:
    """Play those episodes that are not there yet, in whatever order they end."""
    waiting = [task for task in tasks if not task.file.exists()]
    if waiting:
        for _, played in run_tasks(_collect_episode, waiting, workers):
            yield played


def _explore(tasks: Sequence[_Task], partial: Path, config: CollectConfig) -> Iterator[_Played]:
    """Play episodes that begin where earlier ones have been.

    The archive grows between batches of a fixed size, in the order of the episodes, so that the
    number of workers changes nothing. A batch that was broken off is played again.
    """
    file = partial / f"archive{SUFFIX}"
    archive, done = read_archive(file)
    with WorkerPool(config.workers) as pool:
        for first in range(done, len(tasks), _EXPLORING_BATCH):
            rng = stream(config.seed, tasks[first].index, _ARCHIVE_STREAM)
            batch = [
                dataclasses.replace(task, start=archive.draw(rng)) for task in tasks[first : first + _EXPLORING_BATCH]
            ]
            played = dict(pool.run(_collect_episode, batch))
            for number in range(len(batch)):
                archive.add(played[number].reached)
                yield played[number]
            write_archive(file, archive, first + len(batch))


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


def _open_partial(config: CollectConfig, first: int) -> Path:
    """The folder in which finished episodes wait; one of another configuration is refused."""
    partial = config.output.with_name(config.output.name + ".partial")
    note = partial / "collection.json"
    expected = note_of(config, first)
    if note.is_file():
        same, found = json.loads(expected), json.loads(note.read_text())
        differing = [name for name in same if found.get(name) != same[name]]
        if differing:
            raise InputError(
                f"{partial}: expected the beginning of this collection, found one with another "
                f"{differing[0]}; go on with its flags or remove the folder"
            )
        return partial
    try:
        partial.mkdir(parents=True, exist_ok=True)
        note.write_text(expected)
    except OSError as error:
        raise InputError(f"{partial}: cannot be written: {error.strerror}") from error
    return partial


def note_of(config: CollectConfig, first: int) -> str:
    """What tells one collection from another: its configuration, and the index of its first episode."""
    # The number of workers changes nothing that is collected.
    return json.dumps({**to_plain(dataclasses.replace(config, workers=0)), "first": first}, indent=2) + "\n"


@functools.lru_cache(maxsize=1)
def _environment(game: GameConfig) -> gymnasium.Env[Screen, Action]:
    """A worker's environment: it lasts, because the way to the start of a level takes as long as 50 steps."""
    return make_env(game)


def _collect_episode(task: _Task) -> _Played:
    """Play one episode and write it. Runs in a worker process."""
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
        if task.exploring and cell not in reached and not moment.terminated:
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
    write_episode(task.file, check_episode(Episode(*arrays, info), str(task.file)))
    return _Played(len(actions) - 1, reached)


def _finish(output: Path, partial: Path, before: list[Episode]) -> None:
    """Turn the waiting episodes into the data set and remove their folder."""
    files = episode_files(partial)
    if output.suffix == ".pkl":
        write_pickle(output, itertools.chain(before, map(read_episode, files)))
    elif before:
        for file in files:
            file.replace(output / file.name)
    else:
        if output.is_dir():
            shutil.rmtree(output)
        output.mkdir(parents=True)
        for file in files:
            file.replace(output / file.name)
    shutil.rmtree(partial)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(CollectConfig, _report, "mario-world-model collect", arguments)


def _report(config: CollectConfig) -> None:
    dataset = open_dataset(collect(config))
    print(f"{dataset.path}: {len(dataset.episodes)} episodes, {dataset.steps} steps")


if __name__ == "__main__":
    sys.exit(main())

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

Into an object store, here of S3, which takes `pip install s3fs`:

    python -m mario_world_model.training.data_collection --episodes 500 --output s3://bucket/run/rollouts

On the nodes of the Ray cluster that this machine is part of:

    python -m mario_world_model.training.data_collection --episodes 5000 --policy biased --cluster auto
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.episode import Episode, EpisodeInfo, check_episode, content_hash
from mario_world_model.rollouts.episode_file import SUFFIX, write_episode
from mario_world_model.rollouts.manifest import read_manifest
from mario_world_model.rollouts.play import play
from mario_world_model.training.gather_in_folder import FolderGathering
from mario_world_model.training.gather_in_store import StoreGathering
from mario_world_model.training.gathering import Gathering
from mario_world_model.utils.cost import cost
from mario_world_model.utils.environment import MarioEnv, Screen, make_env
from mario_world_model.utils.executor import Executor, open_executor
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.preprocessing import Action, preprocess
from mario_world_model.utils.progress import progress
from mario_world_model.utils.seeding import stream
from mario_world_model.utils.storage import Location
from mario_world_model.utils.workers import worker_count

_ARCHIVE_STREAM = 2
_EXPLORING_BATCH = 32  # episodes between two looks at the archive; few enough to find new places soon
_ELSEWHERE = 0.8  # share of an exploration's episodes that do not begin at the start of the level


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
    file: Location
    marker: Location
    """What is there wherever `file` can be written to."""
    reached: Location | None = None
    """Where to put a state for every cell it comes through, if others are to begin there."""
    start: bytes | None = None
    """State to begin from, where it is not the start of the level."""

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


def collect(config: CollectConfig) -> Location:
    """Play the episodes of a configuration into its data set; returns where the data set is.

    Goes on where an interrupted collection stopped: at most the unfinished episode of every worker is
    played again.
    """
    output = config.output
    gathering = FolderGathering(config, output) if isinstance(output, Path) else StoreGathering(config, output)
    with sole_writer(gathering.lock), open_executor(config.cluster, config.workers) as executor:
        _collect(config, gathering, executor)
    return output


def _collect(config: CollectConfig, gathering: Gathering, executor: Executor) -> None:
    choice = choose_policy(config.policy, config.vae, config.mdnrnn, config.trust, config.lookahead, config.stray)
    played_with = controls_of(choice, config.game)
    if played_with != (config.game.actions, config.game.frame_skip):
        raise InputError(
            f"--policy {config.policy}: expected an agent for {config.game.actions} at frame skip "
            f"{config.game.frame_skip}, found one for {played_with[0]} at {played_with[1]}"
        )
    gathering.check_output()
    rom = find_rom(parse_env_id(config.game.env).mode, config.game.rom)
    if not config.resume:
        gathering.give_up()
    elif not config.append and not gathering.begun and gathering.finished_before():
        print(f"{config.output}: complete already; --no-resume starts over", file=sys.stderr)
        return
    elsewhere = _share_elsewhere(config, choice)
    first = gathering.begin()
    if gathering.waiting:
        marker = gathering.mark()
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
                file=gathering.file(index),
                marker=marker,
                reached=gathering.reached / f"episode-{index:06d}{SUFFIX}" if elsewhere else None,
            )
            for index in range(first, first + config.episodes)
        ]
        with gathering.timed():
            _play(tasks, gathering, config.seed, elsewhere, executor)
    parallel = None if config.cluster else worker_count(config.workers)
    gathering.finish(cost(gathering.seconds, parallel, *gathering.earlier), explored=elsewhere > 0)


def _share_elsewhere(config: CollectConfig, choice: PolicyChoice) -> float:
    if config.elsewhere is None:
        return _ELSEWHERE if choice.explores else 0.0
    return config.elsewhere


def _play(tasks: Sequence[_Task], gathering: Gathering, seed: int, elsewhere: float, executor: Executor) -> None:
    there = gathering.there() & {task.file.name for task in tasks}
    if there:
        print(f"{gathering.folder}: {len(there)} episodes are there already", file=sys.stderr)
    if elsewhere:
        playing = _explore(tasks, there, gathering, seed, elsewhere, executor)
    else:
        playing = _play_all(tasks, there, executor)
    with progress("episodes", len(tasks), "episode", done=len(there)) as bar:
        steps = 0
        for played in playing:
            steps += played.steps
            gathering.note_time()
            bar.update()
            bar.set_postfix(steps=steps)


def _play_all(tasks: Sequence[_Task], there: Container[str], executor: Executor) -> Iterator[_Played]:
    """Play those episodes that are not there yet, in whatever order they end."""
    for _, played in _played_and_kept([task for task in tasks if task.file.name not in there], executor):
        yield played


def _played_and_kept(tasks: Sequence[_Task], executor: Executor) -> Iterator[tuple[int, _Played]]:
    """Play episodes and keep those that their players could not."""
    for index, played in executor.run(_collect_episode, tasks):
        if played.episode is not None:
            tasks[index].write(played.episode, played.reached)
        yield index, dataclasses.replace(played, episode=None)


def _explore(
    tasks: Sequence[_Task],
    there: Container[str],
    gathering: Gathering,
    seed: int,
    elsewhere: float,
    executor: Executor,
) -> Iterator[_Played]:
    """Play episodes that begin where earlier ones have been.

    The archive grows between batches of a fixed size, in the order of the episodes, so that the
    number of workers changes nothing.
    """
    archive, done = read_archive(gathering.archive)
    for first in range(done, len(tasks), _EXPLORING_BATCH):
        rng = stream(seed, tasks[first].index, _ARCHIVE_STREAM)
        batch = [
            dataclasses.replace(task, start=archive.draw(rng, elsewhere))
            for task in tasks[first : first + _EXPLORING_BATCH]
        ]
        reached = {number: _reached_before(task) for number, task in enumerate(batch) if task.file.name in there}
        waiting = [number for number in range(len(batch)) if number not in reached]
        for index, result in _played_and_kept([batch[number] for number in waiting], executor):
            reached[waiting[index]] = result.reached
            yield result
        for number in range(len(batch)):
            archive.add(reached[number])
        gathering.check_sole()
        write_archive(gathering.archive, archive, first + len(batch))
        gathering.forget_reached()


def _reached_before(task: _Task) -> dict[Cell, bytes]:
    """What an exploring episode left, read back from its file, which is older than the episode's own."""
    assert task.reached is not None
    if not task.reached.is_file():
        raise InputError(
            f"{task.reached}: expected what its episode has reached, found nothing; --no-resume starts over"
        )
    return read_archive(task.reached)[0].states


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
    if not _in_reach(task.marker):
        return _Played(len(episode), reached, episode)
    task.write(episode, reached)
    return _Played(len(episode), reached)


def _in_reach(marker: Location) -> bool:
    """Whether what the marker stands for can be written to from here."""
    if isinstance(marker, Path):
        return marker.is_dir()
    try:
        return marker.is_file()
    except (InputError, OSError):
        return False  # no package for such a store here, or no leave to use it


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(CollectConfig, _report, "mario-world-model collect", arguments)


def _report(config: CollectConfig) -> None:
    output = collect(config)
    # What is in a store need not come here to be counted.
    found = open_dataset(output) if isinstance(output, Path) else read_manifest(output)
    assert found is not None
    print(f"{output}: {len(found.episodes)} episodes, {found.steps} steps")


if __name__ == "__main__":
    sys.exit(main())

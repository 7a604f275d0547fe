"""Collection: many processes beside one, and its memory over the number of episodes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.figures import Figure, ratio
from benchmarks.paired import compare
from benchmarks.watched import run_watched
from mario_world_model.config import GameConfig, ViewConfig
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.policies.choice import PolicyChoice
from mario_world_model.training.data_collection import _collect_episode, _Task
from mario_world_model.utils.workers import WorkerPool, worker_count

_STEPS = 150  # `collect`'s own longest episode
_EPISODES = 8  # for each worker


def measure_collection(bench: Bench) -> None:
    cores = worker_count(0)
    tasks = episode_tasks(bench, _EPISODES * cores)
    with WorkerPool(1) as alone, WorkerPool(cores) as together:

        def steps_with(pool: WorkerPool) -> float:
            return sum(played.steps for _, played in pool.run(_collect_episode, tasks))

        both = compare(lambda: steps_with(together), lambda: steps_with(alone), bench.repeats)
    what = f"agent steps/s with {cores} workers, one worker"
    bench.found(ratio("collection", what, both, "agent steps", 0.9 * cores))
    _measure_memory(bench)


def episode_tasks(bench: Bench, count: int) -> Sequence[_Task]:
    """Episodes as `collect --policy biased` plays them."""
    rom = find_rom("vanilla", None)
    return [
        _Task(
            game=GameConfig(),
            view=ViewConfig(),
            policy=PolicyChoice(reference="biased"),
            seed=0,
            index=index,
            max_steps=_STEPS,
            rom_sha1=rom_sha1(rom),
            file=bench.scratch / f"episode-{index:06d}.safetensors",
            marker=bench.scratch,
        )
        for index in range(count)
    ]


def _measure_memory(bench: Bench) -> None:
    """Peak memory of the command, all processes together, for some and for ten times as many episodes."""
    few = 20 if bench.quick else 60
    peaks = []
    for episodes in (few, 10 * few):
        output = bench.scratch / f"collected-{episodes}"
        command = f"collect --policy biased --episodes {episodes} --max-steps 20 --output {output}"
        peak = run_watched([sys.executable, "-m", "mario_world_model", *command.split()]).megabytes
        if peak is None:
            return
        peaks.append(peak)
    measured = f"{peaks[0]:,.0f} and {peaks[1]:,.0f} MB in all its processes"
    what = "peak memory of ten times as many episodes"
    bench.found(Figure("collection", what, peaks[1] / peaks[0], "×", 1.1, at_least=False, measured=measured))

"""What a cluster costs and gives: `python -m benchmarks.scaling --run demo --into docs/cluster.md`.

Measured on this machine, which should have nothing else to do: episodes and generations in the process pool and on a
Ray cluster of as many local nodes. From a finished `mario-world-model run` (--run) come the times of a whole run. The
rest is the simulation of `benchmarks.farm`, held against what the local nodes took.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ray
import torch
from ray.cluster_utils import Cluster

from benchmarks.farm import Farm, Work, makespan
from mario_world_model import pretrained
from mario_world_model.checkpoints import load_world_model
from mario_world_model.config import CollectConfig, DreamConfig
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.training.data_collection import collect
from mario_world_model.training.fitness import DreamsInParts, Fitness
from mario_world_model.utils.executor import Executor, open_executor
from mario_world_model.utils.workers import worker_count

_STAGES = 32
_PARTS = 6
_NODES = (1, 2, 4, 8, 16, 32, 64)
_NETWORK = 117e6  # bytes a second of a shared folder behind one link of 1 Gbit/s
_PRICE = 0.04  # dollars for an hour of a core, about what a rented one costs
_MARKS = ("<!-- scaling -->", "<!-- /scaling -->")


@dataclass(frozen=True)
class Measured:
    """Rates of one machine."""

    cores: int
    episode_seconds: float
    """Of 150 steps at most, on one core, in the pool."""
    episode_bytes: float
    pool_rate: float
    """Episodes a second on all cores."""
    ray_rate: float
    """The same on as many local nodes of one core."""
    generation_seconds: float
    """96 candidates in 16 dreams each and in 6 parts, in the pool, on all cores."""
    generation_overhead: float
    """What the same takes longer on as many local nodes, a share."""
    start_seconds: float
    """Until a node has returned its first, empty task."""
    farm_seconds: float
    """Of `farm_episodes` episodes on the local nodes, starts included."""
    farm_episodes: int
    simulated_seconds: float
    """What the simulation says of these."""


def measure(episodes: int, generations: int) -> Measured:
    """Everything that takes a quiet machine."""
    cores = worker_count(0)
    with tempfile.TemporaryDirectory() as folder:
        one = _Collected.of(Path(folder) / "one", episodes // cores, workers=1)
        pool = _Collected.of(Path(folder) / "pool", episodes, workers=cores)
        with _Nodes(cores):
            start = _start_seconds()
            away = _Collected.of(Path(folder) / "ray", episodes, cluster="auto")
            at_home, on_ray = _generations(generations, cores)
    farm = Farm(cores, start, storage=float("inf"))  # writing is part of what an episode was seen to take
    simulated = makespan(farm, [Work(1.0 / one.rate, one.bytes)] * episodes)
    return Measured(
        cores=cores,
        episode_seconds=1.0 / one.rate,
        episode_bytes=one.bytes,
        pool_rate=pool.rate,
        ray_rate=away.rate,
        generation_seconds=at_home,
        generation_overhead=on_ray / at_home - 1.0,
        start_seconds=start,
        farm_seconds=away.seconds,
        farm_episodes=episodes,
        simulated_seconds=simulated,
    )


@dataclass(frozen=True)
class _Collected:
    """How a collection went."""

    seconds: float
    rate: float
    """Episodes a second, from when every worker had its first behind it."""
    bytes: float
    """Of an episode, the mean."""

    @classmethod
    def of(cls, output: Path, episodes: int, workers: int = 0, cluster: str | None = None) -> _Collected:
        begun = time.time()
        config = CollectConfig(
            policy="biased", episodes=episodes, max_steps=150, output=output, workers=workers, cluster=cluster
        )
        collect(config)
        files = list(output.iterdir())
        written = sorted(file.stat().st_mtime for file in files)
        first = min(4 * worker_count(0), len(written) // 2)
        return cls(
            seconds=written[-1] - begun,
            rate=(len(written) - 1 - first) / (written[-1] - written[first]),
            bytes=statistics.mean(file.stat().st_size for file in files),
        )


class _Nodes:
    """A Ray cluster of local nodes with one core each, as long as the context lasts."""

    def __init__(self, count: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(count):
            self._cluster.add_node(num_cpus=1)

    def __enter__(self) -> None:
        ray.init(address=self._cluster.address, log_to_driver=False, logging_level="error")

    def __exit__(self, *_: object) -> None:
        ray.shutdown()
        self._cluster.shutdown()


def _nothing(number: int) -> int:
    return number


def _start_seconds() -> float:
    begun = time.monotonic()
    with open_executor("auto", 0) as executor:
        list(executor.run(_nothing, [0]))
    return time.monotonic() - begun


def _generations(count: int, cores: int) -> tuple[float, float]:
    """Seconds of a generation in the process pool and on as many local nodes: medians of `count`, in turn."""
    world_model, _ = load_world_model(pretrained.VAE, pretrained.MDN_RNN)
    actions, luck = 7, torch.Generator().manual_seed(0)
    vectors = 0.05 * torch.randn(96, parameter_count(world_model.features, actions), generator=luck)
    controllers = Controllers.from_vectors(vectors, world_model.features, actions, bound=3.0)

    def dreams(executor: Executor) -> Fitness:
        return DreamsInParts(pretrained.VAE, pretrained.MDN_RNN, DreamConfig(), 200.0, _PARTS, executor)

    with open_executor("auto", 0) as cluster, open_executor(None, cores) as pool:
        home, away = dreams(pool), dreams(cluster)
        pairs = [(_seconds(home, controllers), _seconds(away, controllers)) for _ in range(count + 1)][1:]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _seconds(fitness: Fitness, controllers: Controllers) -> float:
    begun = time.monotonic()
    fitness(controllers, 16, seed=0)
    return time.monotonic() - begun


def run_of(folder: Path) -> Work:
    """What a finished run took and left."""
    seconds = json.loads((folder / "summary.json").read_text())["seconds"]
    return Work(seconds, sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))


def table(seconds_of: Callable[[int], float], cores: int) -> list[str]:
    """Rows for 1 … 64 nodes: hours, how many times as fast as one, how well the nodes are used, what they cost."""
    alone = seconds_of(1)
    lines = ["| nodes | hours | times as fast | nodes in use | dollars |", "|---|---|---|---|---|"]
    for nodes in _NODES:
        seconds = seconds_of(nodes)
        hours, gain = seconds / 3600, alone / seconds
        dollars = nodes * cores * hours * _PRICE
        lines.append(f"| {nodes} | {hours:.2f} | {gain:.1f} | {gain / nodes:.0%} | {dollars:.2f} |")
    return lines


def describe(found: Measured, stage: Work | None) -> str:
    """The section of docs/cluster.md."""
    error = found.simulated_seconds / found.farm_seconds - 1.0
    lines = [
        f"Measured on one machine of {found.cores} cores:",
        "",
        f"- an episode of up to 150 steps takes {found.episode_seconds:.2f} s of a core and "
        f"{found.episode_bytes / 1e6:.1f} MB;",
        f"- {found.cores} workers of the process pool collect {found.pool_rate:.1f} episodes a second, {found.cores} "
        f"local Ray nodes of one core {found.ray_rate:.1f}: {found.ray_rate / found.pool_rate:.0%};",
        f"- a generation of 96 candidates in 16 dreams each takes the pool {found.generation_seconds:.2f} s in "
        f"{_PARTS} tasks, the nodes {found.generation_overhead:+.1%};",
        f"- a node returns its first task after {found.start_seconds:.1f} s.",
        "",
        f"The simulation says {found.simulated_seconds:.1f} s for {found.farm_episodes} episodes on {found.cores} "
        f"local nodes; they took {found.farm_seconds:.1f} s ({error:+.0%}).",
    ]
    if stage is not None:
        lines += [
            "",
            f"{_STAGES} stages of the game (`run --stages all`), each of which takes a node of {found.cores} cores "
            f"{stage.seconds / 60:.1f} minutes and leaves {stage.written / 1e6:.0f} MB (measured on one), in a shared "
            f"folder that takes in {_NETWORK / 1e6:.0f} MB a second, at {_PRICE} dollars for an hour of a core "
            "(both assumed):",
            "",
            *table(lambda nodes: makespan(Farm(nodes, found.start_seconds, _NETWORK), [stage] * _STAGES), found.cores),
        ]
        episode = Work(found.episode_seconds, found.episode_bytes)
        lines += [
            "",
            f"100,000 episodes of one stage (`collect --policy biased`) on nodes of one core, into the same folder, "
            f"which is full at {_NETWORK / found.episode_bytes * found.episode_seconds:.0f} nodes:",
            "",
            *table(lambda nodes: makespan(Farm(nodes, found.start_seconds, _NETWORK), [episode] * 100_000), 1),
        ]
    return "\n".join(lines)


def insert(path: Path, text: str) -> None:
    """Replace what stands between the marks of a document."""
    content = path.read_text()
    before, rest = content.split(_MARKS[0])
    after = rest.split(_MARKS[1])[1]
    path.write_text(f"{before}{_MARKS[0]}\n{text}\n{_MARKS[1]}{after}")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--episodes", type=int, default=200, help="episodes to collect in each way")
    flags.add_argument("--generations", type=int, default=9, help="generations to time in each way")
    flags.add_argument("--run", type=Path, help="folder of a finished `mario-world-model run`")
    flags.add_argument("--into", type=Path, help=f"document with {_MARKS[0]} and {_MARKS[1]}, to write between")
    flags.add_argument("--output", type=Path, default=Path("logs/scaling.json"), help="JSON file to write")
    chosen = flags.parse_args()
    found = measure(chosen.episodes, chosen.generations)
    text = describe(found, None if chosen.run is None else run_of(chosen.run))
    print(text)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    if chosen.into is not None:
        insert(chosen.into, text)


if __name__ == "__main__":
    main()

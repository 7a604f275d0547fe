"""How cost grows: dreams over population, horizon and latent size, collection over workers, memory over data."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench import Bench
from benchmarks.collection import episode_tasks
from benchmarks.dreaming import generation, population, shipped_agent
from benchmarks.paired import median_rate
from benchmarks.watched import run_watched
from mario_world_model.config import DreamConfig, MDNRNNConfig, RunConfig
from mario_world_model.models.controller import Controllers, parameter_count
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.world_model import Starts, WorldModel
from mario_world_model.report.charts import Line, line_chart, standalone
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.rollouts.episode_file import write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.training.data_collection import _collect_episode
from mario_world_model.utils.workers import WorkerPool, worker_count

_POPULATIONS = (8, 16, 32, 64, 128, 256, 512)
_HORIZONS = (6, 12, 24, 48, 96)
_LATENT_SIZES = (16, 32, 80, 160, 320)
_STARTS = RunConfig().starts_per_candidate


@dataclass(frozen=True)
class Curve:
    """One drawing."""

    name: str
    caption: str
    x_label: str
    y_label: str
    lines: dict[str, list[tuple[float, float]]]

    def draw(self, folder: Path) -> dict[str, Any]:
        """Write it as SVG, from zero up, so that shares can be seen; returns the points, and where it is."""
        lines = [
            Line(name, [x for x, _ in points], [y for _, y in points], colour)
            for colour, (name, points) in enumerate(self.lines.items())
        ]
        file, points = folder / f"{self.name}.svg", [point for line in self.lines.values() for point in line]
        wide = max(x for x, _ in points) >= 10.0 * min(x for x, _ in points)
        chart = line_chart(lines, self.x_label, self.y_label, wide, y_range=(0.0, max(y for _, y in points)))
        file.write_text(standalone(chart) + "\n")
        return {**dataclasses.asdict(self), "file": f"{folder.name}/{file.name}"}


def measure_growth(bench: Bench, folder: Path) -> list[dict[str, Any]]:
    """Measure every curve and draw it into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = []
    for measure in (_over_population, _over_horizon, _over_latent_size, _over_workers, _over_data):
        curve = measure(bench)
        curves.append(curve.draw(folder))
        print(curve.caption, curve.lines, flush=True)
    return curves


def _some(bench: Bench, values: Sequence[int]) -> Sequence[int]:
    return values[::2][:3] if bench.quick else values


def _over_population(bench: Bench) -> Curve:
    agent, config, sizes = shipped_agent(), DreamConfig(), _some(bench, _POPULATIONS)

    def rate(candidates: Controllers, starts: int) -> float:
        return median_rate(generation(agent.world_model, config, candidates, starts), bench.repeats)

    return Curve(
        "population",
        f"Dreamt steps a second over the size of a population, {_STARTS} start states.",
        "candidates",
        "steps/s",
        {
            "nothing in common": [(size, rate(population(agent, 1, True), size * _STARTS)) for size in sizes],
            "first generation": [(size, rate(population(agent, size, False), _STARTS)) for size in sizes],
            "around a trained agent": [(size, rate(population(agent, size, True), _STARTS)) for size in sizes],
        },
    )


def _over_horizon(bench: Bench) -> Curve:
    agent, run = shipped_agent(), RunConfig()

    def rate(trained: bool, horizon: int) -> float:
        config, candidates = DreamConfig(horizon=horizon), population(agent, run.population_size, trained)
        return median_rate(generation(agent.world_model, config, candidates, _STARTS), bench.repeats)

    return Curve(
        "horizon",
        f"Dreamt steps a second over the horizon, {run.population_size} candidates × {_STARTS} start states.",
        "steps of a dream",
        "steps/s",
        {
            name: [(horizon, rate(trained, horizon)) for horizon in _some(bench, _HORIZONS)]
            for name, trained in (("first generation", False), ("around a trained agent", True))
        },
    )


def _over_latent_size(bench: Bench) -> Curve:
    agent, dreams = shipped_agent(), RunConfig().population_size * _STARTS

    def rate(latent_size: int) -> float:
        network = MDNRNN(MDNRNNConfig(), latent_size, agent.world_model.mdn_rnn.actions).eval()
        starts = Starts(
            torch.randn(dreams, 2, latent_size), torch.zeros(dreams, 1, dtype=torch.int64), torch.ones(dreams).long()
        )
        world: WorldModel = dataclasses.replace(agent.world_model, mdn_rnn=network, starts=starts)
        vectors = torch.randn(1, parameter_count(world.features, network.actions))
        one = Controllers.from_vectors(vectors, world.features, network.actions, bound=1.0)
        return median_rate(generation(world, DreamConfig(), one, dreams), bench.repeats)

    return Curve(
        "latent_size",
        f"Dreamt steps a second over the size of a latent, {dreams:,} dreams with nothing in common, random weights.",
        "numbers of a latent",
        "steps/s",
        {"": [(size, rate(size)) for size in _some(bench, _LATENT_SIZES)]},
    )


def _over_workers(bench: Bench) -> Curve:
    counts = [*range(1, worker_count(0) + 1)]
    tasks = episode_tasks(bench, 8 * counts[-1])

    def rate(workers: int) -> float:
        with WorkerPool(workers) as pool:

            def collect() -> float:
                return float(sum(played.steps for _, played in pool.run(_collect_episode, tasks)))

            return median_rate(collect, bench.repeats)

    caption = "Agent steps a second of collection over its workers, up to the cores there are."
    return Curve("workers", caption, "workers", "agent steps/s", {"": [(count, rate(count)) for count in counts]})


def _over_data(bench: Bench) -> Curve:
    """Memory of `train-vae` over the size of its data set, in either form."""
    # From some 10,000 frames on: up to there more and more of them are counted to know how rare colours are.
    sizes = (4, 8) if bench.quick else (1, 2, 4)
    # Everything that is ever held is so after some updates; a whole epoch goes to make sure of it.
    budget = "--max-minutes 0.05" if bench.quick else ""
    lines: dict[str, list[tuple[float, float]]] = {"a folder": [], "one .pkl": []}
    for size in sizes:
        dataset = _repeated(bench.dataset, size)
        folder, file = bench.scratch / f"data-{size}", bench.scratch / f"data-{size}.pkl"
        folder.mkdir()
        for number, episode in enumerate(dataset):
            write_episode(folder / f"episode-{number:06d}.safetensors", episode)
        write_pickle(file, iter(dataset))
        frames = sum(len(episode) + 1 for episode in dataset) * 64 * 64 * 3 / 2**20
        for name, path in (("a folder", folder), ("one .pkl", file)):
            flags = (
                f"--preset debug --dataset {path} --output {bench.scratch}/v.pt --logs {bench.scratch}/logs {budget}"
            )
            command = [sys.executable, "-m", "mario_world_model", "train-vae", *flags.split(), "--no-resume"]
            lines[name].append((frames, run_watched(command).own_megabytes or 0.0))
        shutil.rmtree(folder)
        file.unlink()
    caption = "Memory of train-vae over its frames, without what the system keeps of files and can drop."
    return Curve("data", caption, "MB of frames", "MB", lines)


def _repeated(dataset: Dataset, times: int) -> Sequence[Episode]:
    episodes = [episode for _ in range(times) for episode in dataset.episodes]
    return [
        dataclasses.replace(episode, info=dataclasses.replace(episode.info, index=number))
        for number, episode in enumerate(episodes)
    ]

"""The whole pipeline for many stages of the game, each into a folder of its own.

    mario-world-model run --preset demo --stages all --output runs
    mario-world-model run --preset demo --stages 1-1,1-2,5-3 --cluster auto --output /shared/runs

On one machine stage follows stage; on a cluster every stage is a task, and a node that is lost costs what its stage has
done since it last saved.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mario_world_model.config import RunConfig
from mario_world_model.emulation.stages import STAGES, EnvId, parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import with_rom
from mario_world_model.training.pipeline import finished, run
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.executor import open_executor
from mario_world_model.utils.lock import sole_writer


@dataclass(frozen=True)
class Failure:
    """A stage whose run ended with a mistake."""

    stage: str
    why: str


def sweep(config: RunConfig) -> list[Failure]:
    """Run every stage that is not done yet, and write the table of all; returns those that failed."""
    stages = stages_of(config.stages)
    with sole_writer(config.output / "sweep"), _marked(config.output) as marker:
        tasks = [_Task(_config_of(config, stage), marker) for stage in stages]
        failures = []
        with tqdm(total=len(tasks), unit="stage", disable=None) as bar:
            for index, why in _outcomes(tasks, config):
                bar.update()
                name = _name(stages[index])
                print(f"{name}: {why or 'done'}", file=sys.stderr)
                if why:
                    failures.append(Failure(name, why))
        found = {_name(stage): _summary(config.output / _name(stage)) for stage in stages}
        for name, content in (("sweep.json", json.dumps(found, indent=2)), ("sweep.md", describe_sweep(found))):
            with written_whole(config.output / name) as temporary:
                temporary.write_text(content + "\n")
    return sorted(failures, key=lambda failure: failure.stage)


def stages_of(text: str) -> list[tuple[int, int]]:
    """Stages by name: "all", or "1-1,1-2"; InputError for what is none."""
    if text == "all":
        return list(STAGES)
    found = [re.fullmatch(r"\s*(\d)-(\d)\s*", part) for part in text.split(",")]
    stages = [(int(match[1]), int(match[2])) for match in found if match]
    if len(stages) < len(found) or len(set(stages)) < len(stages) or not set(stages) <= set(STAGES):
        raise InputError(f"--stages: expected all, or different stages of 1-1 to 8-4 as 1-1,1-2, found {text!r}")
    return stages


def describe_sweep(found: dict[str, dict[str, Any] | None]) -> str:
    """One row for each stage; one that has no summary has not been finished."""
    lines = [
        "| stage | real steps | PSNR of V | rounds | mean max x | uniform random | flags | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for stage, one in found.items():
        if one is None:
            lines.append(f"| {stage} | not finished | | | | | | |")
            continue
        agent, random, rounds = one["agent"], one["random"], one["rounds"]
        steps = one["steps"] if "steps" in one else rounds[-1]["steps"]  # where earlier versions have it
        lines.append(
            f"| {stage} | {steps} | {one['vae']['psnr_after']:.1f} dB | {len(rounds)} "
            f"| {agent['mean_max_x']:.0f} ± {agent['std_max_x']:.0f} "
            f"| {random['mean_max_x']:.0f} ± {random['std_max_x']:.0f} "
            f"| {agent['flag_rate']:.0%} | {one['seconds'] / 60:.0f} |"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class _Task:
    """One stage of the game and a folder that is there wherever its output can be written to."""

    config: RunConfig
    marker: Path


def _outcomes(tasks: Sequence[_Task], config: RunConfig) -> Iterator[tuple[int, str | None]]:
    if config.cluster is None:
        # Here a run has the machine to itself.
        yield from enumerate(map(_run_stage, tasks))
        return
    # A stage that asks for no GPU would see none under an older Ray, and another stage's under a newer one.
    _, gpus = _smallest_node(config.cluster)
    with open_executor(config.cluster, 0, cores=tasks[0].config.workers, gpus=gpus) as executor:
        yield from executor.run(_run_stage, tasks)


def _run_stage(task: _Task) -> str | None:
    """Run a stage, on a cluster in a process of a node; returns what went wrong, if anything did."""
    if not task.marker.is_dir():
        raise InputError(f"{task.config.output.parent}: expected a folder that every node of the cluster sees")
    try:
        if not finished(task.config):
            run(task.config)
    except InputError as mistake:
        return str(mistake)
    return None


def _config_of(config: RunConfig, stage: tuple[int, int]) -> RunConfig:
    """The run of one stage, which is all on one node."""
    env = EnvId(stage, parse_env_id(config.game.env).mode)
    workers = config.workers
    if config.cluster is not None and not workers:
        workers, _ = _smallest_node(config.cluster)
    return dataclasses.replace(
        config,
        game=with_rom(dataclasses.replace(config.game, env=str(env))),
        output=config.output.absolute() / _name(stage),
        stages="",
        workers=workers,
        cluster=None,
    )


def _smallest_node(cluster: str) -> tuple[int, int]:
    from mario_world_model.utils.ray_executor import smallest_node

    return smallest_node(cluster)


@contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A folder of a name that is nowhere else, as long as this lasts."""
    marker = folder.absolute() / f"here-{uuid.uuid4().hex}"
    marker.mkdir(parents=True)
    try:
        yield marker
    finally:
        marker.rmdir()


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return None
    return found


def _name(stage: tuple[int, int]) -> str:
    return f"{stage[0]}-{stage[1]}"

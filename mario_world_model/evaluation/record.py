"""What an evaluation leaves for the report: who played, under what, how every episode went, how to repeat it."""

from __future__ import annotations

import dataclasses
import json
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_world_model.config import GameConfig, from_plain, to_plain
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.summary import Summary, summarise
from mario_world_model.policies.choice import PolicyChoice
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.checkpoint import load_checkpoint
from mario_world_model.utils.cost import cost_from_plain, cost_of, hours, total
from mario_world_model.utils.hashes import file_sha256

_SCHEMA = 1
_TOO_LARGE = 1e15  # for any figure of an episode or a training


@dataclass(frozen=True)
class Origin:
    """Where an agent comes from."""

    name: str
    kind: str
    """"world model", "ppo", "reference", "replay", "archive" or "code"."""
    training_seed: int | None = None
    training_steps: int | None = None
    """Agent steps of the real game that it took, collection included; None where nobody knows."""
    core_hours: float | None = None
    """Hours of wall clock that it took, collection included, times the cores in use; None where nobody knows."""
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    """SHA-256 of its files, by part."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What its parts were trained with, by part."""
    dreamt: float | None = None
    """Mean return in the dream that its controller was chosen by."""
    data: str | None = None
    """Fingerprint of the data set its world model was trained on."""


@dataclass(frozen=True)
class Record:
    """One evaluation of one agent."""

    agent: Origin
    protocol: str
    """One of `evaluation.protocols`, or "custom"."""
    game: GameConfig
    seed: int
    max_steps: int
    summary: Summary
    episodes: list[EpisodeScore]
    seconds: float
    """Wall-clock time."""
    provenance: dict[str, Any]
    config: dict[str, Any]


def origin_of(choice: PolicyChoice, pretrained: bool = False) -> Origin:
    """What the files of a choice say of its training."""
    if choice.reference is not None:
        return Origin(choice.reference, "reference", training_steps=0)
    if choice.replay is not None:
        return Origin("replay", "replay")
    if choice.code is not None:
        return Origin(choice.code, "code")
    if choice.archive is not None:
        return Origin(choice.name, "archive", files={"archive": _sha256(choice.archive)})
    if choice.ppo is not None:
        return _origin_of_ppo(choice.ppo)
    parts = {"vae": choice.vae, "mdn_rnn": choice.mdnrnn, "controller": choice.controller}
    saved = {kind: (path, load_checkpoint(path, kind).provenance) for kind, path in parts.items() if path is not None}
    settings = {kind: dict(known.get("settings") or {}) for kind, (_, known) in saved.items()}
    name = "world model, as shipped" if pretrained else "world model"
    if settings.get("controller", {}).get("sees") == "z":
        name = "V and C alone"
    elif settings.get("mdn_rnn", {}).get("control") == "untrained":
        name = "untrained RNN"
    if choice.lookahead.lookahead:
        name += f", looking ahead in {choice.lookahead.lookahead} dreams"
    memory = saved["mdn_rnn"][1] if "mdn_rnn" in saved else {}
    return Origin(
        name=name,
        kind="world model",
        training_seed=settings.get("controller", {}).get("seed"),
        training_steps=memory.get("real_steps"),
        core_hours=_core_hours([(path, known) for path, known in saved.values()]),
        files={kind: _sha256(path) for kind, (path, _) in saved.items()},
        settings=settings,
        dreamt=saved["controller"][1].get("fitness") if "controller" in saved else None,
        data=memory.get("dataset"),
    )


def _origin_of_ppo(path: Path) -> Origin:
    from mario_world_model.policies.ppo import PPO_KIND, ppo_file  # stable-baselines3 takes a second to import

    file = ppo_file(path)
    if file.suffix == ".zip":
        return Origin("PPO", "ppo", files={"ppo": _sha256(file)})
    known = load_checkpoint(file, PPO_KIND).provenance
    settings, steps = dict(known.get("settings") or {}), known.get("timesteps")
    name = f"PPO, {steps:,} steps" if isinstance(steps, int) else "PPO"
    return Origin(
        name,
        "ppo",
        settings.get("seed"),
        steps,
        _core_hours([(file, known)]),
        files={"ppo": _sha256(file)},
        settings={"ppo": settings},
    )


def _core_hours(parts: Sequence[tuple[Path, dict[str, Any]]]) -> float | None:
    """Of all parts together, and of the data that M was trained on, if there is an M."""
    found: list[float | None] = []
    for path, known in parts:
        cost = cost_from_plain(known["cost"]) if "cost" in known else cost_of(path)
        found.append(hours(cost))
        if "real_steps" in known:
            found.append(None if cost is None else cost.data_core_hours)
    return total(*found)


def _sha256(path: Path) -> str:
    return file_sha256(path) if path.is_file() else ""


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON, one episode a line."""
    plain = {"record": "evaluation", "schema": _SCHEMA, **to_plain(record)}
    episodes = plain.pop("episodes")
    head = json.dumps(plain, indent=2)[:-2]
    lines = ",\n    ".join(json.dumps(episode) for episode in episodes)
    with written_whole(path) as temporary:
        temporary.write_text(f'{head},\n  "episodes": [\n    {lines}\n  ]\n}}\n')


def read_record(path: Path, plain: dict[str, Any]) -> Record:
    """The record in the content of a JSON file; raises InputError when it holds something else."""
    try:
        if plain["schema"] != _SCHEMA:
            raise InputError(f"{path}: expected an evaluation of schema {_SCHEMA}, found {plain['schema']!r}")
        episodes = [episode_from_plain(one) for one in plain["episodes"]]
        if not episodes:
            raise ValueError("no episodes")
        known = dict(plain["provenance"])
        if not all(isinstance(known.get(name, {}), dict) for name in ("machine", "versions")):
            raise ValueError("provenance")
        return Record(
            agent=_origin(plain["agent"]),
            protocol=str(plain["protocol"]),
            game=from_plain(GameConfig, {**plain["game"], "rom": None}, str(path)),
            seed=int(plain["seed"]),
            max_steps=int(plain["max_steps"]),
            summary=summarise(episodes),
            episodes=episodes,
            seconds=float(plain["seconds"]),
            provenance=known,
            config=dict(plain["config"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: expected the record of an evaluation, found {reprlib.repr(error)} amiss") from error


def _origin(plain: dict[str, Any]) -> Origin:
    origin = Origin(**plain)
    settings = isinstance(origin.settings, dict) and all(isinstance(one, dict) for one in origin.settings.values())
    files = isinstance(origin.files, dict) and all(isinstance(one, str) for one in origin.files.values())
    names = all(isinstance(one, str) for one in (origin.name, origin.kind, origin.data or ""))
    whole = all(
        one is None or (type(one) is int and _is_finite(one)) for one in (origin.training_seed, origin.training_steps)
    )
    numbers = all(one is None or _is_finite(one) for one in (origin.core_hours, origin.dreamt))
    if not (settings and files and names and whole and numbers):
        raise ValueError("agent")
    return origin


def _is_finite(value: Any) -> bool:
    """Whether it is a number of which means and squares are numbers too."""
    return type(value) in (int, float) and abs(value) < _TOO_LARGE


def episode_from_plain(plain: dict[str, Any]) -> EpisodeScore:
    """The episode of a line of a record; raises KeyError, TypeError or ValueError when it holds something else."""
    score = EpisodeScore(**{**plain, "end": tuple(plain["end"]), "visited": tuple(plain["visited"])})
    figures = (score.index, score.score, score.max_x, score.steps, score.frames, *score.end, *score.visited)
    if not all(map(_is_finite, figures)) or type(score.flag) is not bool or not isinstance(score.played, str):
        raise ValueError(f"episode {score.index}")
    return score

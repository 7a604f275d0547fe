"""All that it takes to run an evaluation again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mario_world_model.evaluation.record import Record
from mario_world_model.report.document import Block, Code, Section, Table, Text
from mario_world_model.utils.provenance import provenance


def reproduction(records: Sequence[Record]) -> Section:
    """Commands, commits, hashes, versions, machines, seeds and hours."""
    return Section("How to run it again", list(_blocks(records)))


def _blocks(records: Sequence[Record]) -> Iterator[Block]:
    yield Text("The commands of the evaluations, and of this report:")
    commands = [str(one.provenance.get("command", "unknown")) for one in records]
    yield Code("\n".join([*commands, str(provenance()["command"])]))
    yield Table(
        "evaluations",
        "The evaluations: episode i of a seed depends on the two numbers alone",
        ("agent", "protocol", "evaluation seed", "episodes", "commit", "when", "seconds", "cores"),
        [_evaluation(record) for record in records],
    )
    yield Table(
        "files",
        "SHA-256 of what was evaluated, of data sets where they are known, and SHA-1 of the ROM",
        ("agent", "part", "hash"),
        list(_hashes(records)),
    )
    machines = {json.dumps(one.provenance.get("machine", {}), sort_keys=True) for one in records}
    versions = {json.dumps(one.provenance.get("versions", {}), sort_keys=True) for one in records}
    yield Text(f"Machines: {'; '.join(_listed(json.loads(one)) for one in sorted(machines))}.")
    yield Text(f"Versions: {'; '.join(_listed(json.loads(one)) for one in sorted(versions))}.")
    settings = {one.agent.name: one.agent.settings for one in records if any(one.agent.settings.values())}
    if settings:
        yield Text("Settings that the agents were trained with, as their checkpoints have them:")
    for name, own in settings.items():
        yield Code(f"{name}\n{json.dumps(own, indent=1, sort_keys=True)}")


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _evaluation(record: Record) -> list[str]:
    known = record.provenance
    machine = known.get("machine", {})
    return [
        record.agent.name,
        record.protocol,
        f"{record.seed}",
        str(len(record.episodes)),
        str(known.get("commit") or "unknown")[:12],
        str(known.get("time", "unknown")),
        f"{record.seconds:.0f}",
        str(machine.get("cores", "unknown")),
    ]


def _hashes(records: Sequence[Record]) -> Iterator[list[str]]:
    seen = set()
    for record in records:
        parts = {**record.agent.files, "data set": record.agent.data, "ROM, SHA-1": record.provenance.get("rom_sha1")}
        for part, value in parts.items():
            name = "the game" if part.startswith("ROM") else record.agent.name
            if value and (name, part, value) not in seen:
                seen.add((name, part, value))
                yield [name, part, str(value)]

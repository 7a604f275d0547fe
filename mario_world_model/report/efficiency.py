"""What each agent cost: how good it was after so many real frames, and after so many hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mario_world_model.report.agents import AgentResult
from mario_world_model.report.charts import Line, line_chart
from mario_world_model.report.document import Block, Figure, Section, Table, Text
from mario_world_model.report.inputs import Log

_CHECK = "validation/max_x"


def efficiency(agents: Sequence[AgentResult], logs: Sequence[Log]) -> Section:
    """The section; empty where nothing was trained."""
    return Section("What it cost", list(_blocks(agents, logs)))


def _blocks(agents: Sequence[AgentResult], logs: Sequence[Log]) -> Iterator[Block]:
    trained = [agent for agent in agents if agent.trained and agent.frames]
    checked = [log for log in logs if log.curve(_CHECK)[0]]
    skip = agents[0].records[0].game.frame_skip
    own = next((agent.colour for agent in trained if agent.origin.kind == "ppo"), 0)
    lines = [*_points(trained), *_checks(checked, skip, own)]
    if lines:
        yield Text(
            "Frames are those of the real game, data collection for the world model included. Thin lines are checks on "
            "validation seeds during training, one line a training seed, few episodes each; thick lines and points "
            "with intervals are evaluations on test seeds. Frames of the checks are not counted as training."
        )
        yield Figure(
            "sample_efficiency",
            "Sample efficiency: furthest x over real frames that training took (logarithmic).",
            line_chart(lines, "real frames", "furthest x, pixels", log_x=True),
        )
    timed = [log for log in checked if log.curve(_CHECK, "cost/seconds")[0]]
    if timed:
        yield Figure(
            "wall_clock",
            "The same checks over the hours that training took on its machine, checks included.",
            line_chart(
                [
                    Line(f"{log.stage}, seed {log.seed}", [one / 3600 for one in seconds], found, number, thin=True)
                    for number, log in enumerate(timed)
                    for seconds, found in (log.curve(_CHECK, "cost/seconds"),)
                ],
                "hours",
                "furthest x, pixels",
            ),
        )
    rows = [_cost(agent) for agent in reversed(agents) if agent.trained]
    if rows:
        yield Table(
            "cost",
            "What training took; core-hours are hours of wall clock times the cores that were in use, for all that an "
            "agent came from, collection included; rounds that were not chosen are left out",
            ("agent", "real steps", "real frames", "core-hours", "training seeds"),
            rows,
        )


def _points(agents: Sequence[AgentResult]) -> Iterator[Line]:
    """PPO's snapshots joined, every other agent a point."""
    snapshots = sorted((one for one in agents if one.origin.kind == "ppo"), key=lambda one: one.frames or 0)
    if snapshots:
        yield _line("PPO, test seeds", snapshots)
    for agent in agents:
        if agent.origin.kind != "ppo":
            yield _line(agent.name, [agent])


def _line(name: str, agents: Sequence[AgentResult]) -> Line:
    intervals = [agent.interval("max_x") for agent in agents]
    return Line(
        name,
        [float(agent.frames or 0) for agent in agents],
        [one.estimate for one in intervals],
        agents[-1].colour,
        joined=len(agents) > 1,
        bounds=[(one.low, one.high) for one in intervals],
    )


def _checks(logs: Sequence[Log], skip: int, colour: int) -> Iterator[Line]:
    for log in logs:
        steps, found = log.curve(_CHECK)
        yield Line(f"{log.stage}, validation, seed {log.seed}", [one * skip for one in steps], found, colour, thin=True)


def _cost(agent: AgentResult) -> list[str]:
    steps, frames, hours = agent.origin.training_steps, agent.frames, agent.origin.core_hours
    return [
        agent.name,
        "unknown" if steps is None else f"{steps:,}",
        "unknown" if frames is None else f"{frames:,}",
        "unknown" if hours is None else f"{hours:.2f}",
        ", ".join("unknown" if (seed := one.agent.training_seed) is None else str(seed) for one in agent.records),
    ]

"""How good each agent is under one set of conditions, and which of two is better."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mario_world_model.evaluation.protocols import PROTOCOLS
from mario_world_model.report.agents import METRICS, AgentResult, Conditions
from mario_world_model.report.charts import Line, interval_chart, line_chart
from mario_world_model.report.document import Block, Figure, Section, Table, Text
from mario_world_model.statistics.aggregates import AGGREGATES
from mario_world_model.statistics.comparison import (
    performance_profile,
    probability_of_improvement,
    verdict,
)
from mario_world_model.statistics.interval import Interval

_THRESHOLDS = 120


def comparison(conditions: Conditions, agents: Sequence[AgentResult]) -> Section:
    """The section of one protocol."""
    slug = f"{conditions.env.lower()}_{conditions.protocol}_{conditions.seed}".replace("-", "_")
    return Section(conditions.title, list(_blocks(conditions, agents, slug)))


def _blocks(conditions: Conditions, agents: Sequence[AgentResult], slug: str) -> Iterator[Block]:
    yield Text(_protocol_text(conditions))
    yield Text(_seeds_text(agents))
    yield Table(
        f"agents_{slug}",
        "Every agent, how far it gets: 95 % intervals in brackets; real frames are those that training took, data "
        "collection included",
        ("agent", "real steps", "real frames", "seeds", "episodes", "flag", "furthest x, IQM", "mean", "median"),
        [_row(agent) for agent in reversed(agents)],
    )
    yield Table(
        f"scores_{slug}",
        "The same episodes: score, the sum of the environment's rewards, and length",
        ("agent", "score, IQM", "mean", "median", "steps an episode", "frames an episode"),
        [_scores(agent) for agent in reversed(agents)],
    )
    rows = [(agent.name, agent.interval("max_x"), agent.colour) for agent in reversed(agents)]
    yield Figure(
        f"furthest_{slug}", "Furthest x: interquartile mean with its 95 % interval.", interval_chart(rows, "pixels")
    )
    flags = [(agent.name, _percent(agent.flags), agent.colour) for agent in reversed(agents)]
    yield Figure(
        f"flags_{slug}", "Episodes that reach the flag: share with its Wilson interval.", interval_chart(flags, "%")
    )
    yield Figure(
        f"profile_{slug}",
        "Performance profile: the share of episodes that get further than x. Further right and up is better.",
        _profiles(agents),
    )
    pairs = [(one, other) for one, other in itertools.combinations(reversed(agents), 2) if one.trained or other.trained]
    if pairs:
        yield Text(
            "Two agents are told apart only where the 95 % intervals of their interquartile means do not overlap. "
            "The probability of improvement is the chance that an episode of the first gets further than one of the "
            "second; one half means that they are alike."
        )
        yield Table(
            f"pairs_{slug}",
            "Which of two agents gets further",
            ("first", "second", "probability of improvement", "furthest x", "score"),
            [_pair(one, other) for one, other in pairs],
        )


def findings(conditions: Conditions, agents: Sequence[AgentResult]) -> list[str]:
    """What the comparison comes to, in sentences."""
    best = agents[-1]
    said = [
        f"{conditions.title}: {best.name} gets furthest, to x = {interval_text(best.interval('max_x'))} "
        f"(interquartile mean), and reaches the flag in {share_text(best.flags)} of "
        f"{len(best.episodes)} episodes."
    ]
    for kind, label in (("world model", "the best world-model agent"), ("ppo", "the best PPO agent")):
        own = [agent for agent in agents if agent.origin.kind == kind]
        known = [agent for agent in agents if agent.origin.kind == "reference"]
        if own and known:
            one, other = own[-1], known[-1]
            said.append(f"{label[0].upper()}{label[1:]}, {one.name}, against {other.name}: {_sentence(one, other)}.")
    worlds = [agent for agent in agents if agent.origin.kind == "world model"]
    rivals = [agent for agent in agents if agent.origin.kind == "ppo" and agent.origin.training_steps]
    if worlds and rivals:
        world = worlds[-1]
        rivals.sort(key=lambda agent: agent.origin.training_steps or 0)
        said += [f"{world.name} against {rival.name}: {_sentence(world, rival)}." for rival in rivals]
    return said


def _sentence(one: AgentResult, other: AgentResult) -> str:
    found = verdict(one.name, one.interval("max_x"), other.name, other.interval("max_x"))
    chance = probability_of_improvement(one.scores("max_x"), other.scores("max_x"))
    return f"{found} (probability of improvement {interval_text(chance, 2)})"


def _protocol_text(conditions: Conditions) -> str:
    known = PROTOCOLS.get(conditions.protocol)  # type: ignore[call-overload]
    about = known.about if known else f"sticky actions {conditions.sticky}, up to {conditions.noops} no-op frames first"
    return (
        f"Conditions, the same for every agent: {about}; at most {conditions.max_steps:,} agent steps an episode; "
        f"evaluation seed {conditions.seed:,}, which no agent was trained on or chosen by."
    )


def _seeds_text(agents: Sequence[AgentResult]) -> str:
    alone = [agent.name for agent in agents if agent.trained and len(agent.records) == 1]
    text = "Intervals are over training seeds, drawn whole, where an agent has several."
    if alone:
        text += (
            f" {'; '.join(alone)}: one training seed each, so that the interval is over episodes. It says how sure the "
            "figures of this one agent are, and nothing of how another training of the same method would turn out."
        )
    return text


def _row(agent: AgentResult) -> list[str]:
    steps, frames = agent.origin.training_steps, agent.frames
    return [
        agent.name,
        "unknown" if steps is None else f"{steps:,}",
        "unknown" if frames is None else f"{frames:,}",
        str(len(agent.records)),
        str(len(agent.episodes)),
        share_text(agent.flags),
        *(interval_text(agent.interval("max_x", name)) for name in AGGREGATES),
    ]


def _scores(agent: AgentResult) -> list[str]:
    return [
        agent.name,
        *(interval_text(agent.interval("score", name)) for name in AGGREGATES),
        f"{np.mean([episode.steps for episode in agent.episodes]):.0f}",
        f"{np.mean([episode.frames for episode in agent.episodes]):.0f}",
    ]


def _pair(one: AgentResult, other: AgentResult) -> list[str]:
    chance = probability_of_improvement(one.scores("max_x"), other.scores("max_x"))
    verdicts = (verdict(one.name, one.interval(metric), other.name, other.interval(metric)) for metric in METRICS)
    return [one.name, other.name, interval_text(chance, 2), *verdicts]


def _profiles(agents: Sequence[AgentResult]) -> str:
    furthest = max(episode.max_x for agent in agents for episode in agent.episodes)
    thresholds = np.linspace(0.0, furthest, _THRESHOLDS)
    lines = [
        Line(
            agent.name,
            thresholds.tolist(),
            performance_profile(agent.scores("max_x"), thresholds).tolist(),
            agent.colour,
        )
        for agent in reversed(agents)
    ]
    return line_chart(lines, "x, pixels", "share of episodes", y_range=(0.0, 1.0))


def _percent(share: Interval) -> Interval:
    return Interval(100 * share.estimate, 100 * share.low, 100 * share.high)


def share_text(share: Interval) -> str:
    """A share with its interval."""
    return f"{share.estimate:.0%} [{share.low:.1%}, {share.high:.1%}]"


def interval_text(interval: Interval, digits: int = 0) -> str:
    """A figure with its interval; none where one score is all there is."""
    if not math.isfinite(interval.low):
        return f"{interval.estimate:.{digits}f}"
    return f"{interval.estimate:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"

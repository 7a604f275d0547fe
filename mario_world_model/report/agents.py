"""Records of one agent put together, and what can be said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.record import Origin, Record
from mario_world_model.statistics.aggregates import AGGREGATES, Scores
from mario_world_model.statistics.bootstrap import bootstrap_interval
from mario_world_model.statistics.interval import Interval
from mario_world_model.statistics.wilson import wilson

METRICS = {"max_x": "furthest x", "score": "score"}


@dataclass(frozen=True)
class Conditions:
    """What has to be equal for two evaluations to be compared."""

    env: str
    protocol: str
    sticky: float
    noops: int
    seed: int
    max_steps: int

    @property
    def title(self) -> str:
        """As a heading."""
        return f"{self.env}, protocol {self.protocol}"


@dataclass(frozen=True)
class AgentResult:
    """One agent under one set of conditions: a record for every training seed."""

    name: str
    origin: Origin
    records: list[Record]
    colour: int

    @property
    def trained(self) -> bool:
        """Whether it is there on its own account, not as a yardstick."""
        return self.origin.kind not in ("reference", "replay")

    @property
    def episodes(self) -> list[EpisodeScore]:
        return [episode for record in self.records for episode in record.episodes]

    @property
    def flags(self) -> Interval:
        """Share of episodes that reached the flag."""
        return wilson(sum(episode.flag for episode in self.episodes), len(self.episodes))

    @property
    def frames(self) -> int | None:
        """Frames of the real game that training took, data collection included."""
        steps = self.origin.training_steps
        return None if steps is None else steps * self.records[0].game.frame_skip

    def scores(self, metric: str) -> Scores:
        """(R, E): R training seeds, E episodes each."""
        return np.array([[getattr(one, metric) for one in record.episodes] for record in self.records], dtype=float)

    def interval(self, metric: str, aggregate: str = "IQM") -> Interval:
        """An aggregate with its bootstrap interval."""
        return bootstrap_interval([self.scores(metric)], AGGREGATES[aggregate])


def agents_by_conditions(records: Sequence[Record]) -> dict[Conditions, list[AgentResult]]:
    """Agents grouped by conditions; the headline protocol first, in every group the best agent last.

    Raises InputError when one agent was evaluated twice under one training seed, or its training seeds played
    different numbers of episodes.
    """
    groups: dict[Conditions, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        game = record.game
        conditions = Conditions(game.env, record.protocol, game.sticky, game.noops, record.seed, record.max_steps)
        groups[conditions][record.agent.name].append(record)
    names = list(dict.fromkeys(record.agent.name for record in sorted(records, key=_order)))
    colours = {name: number for number, name in enumerate(names)}
    found = {}
    for conditions in sorted(groups, key=lambda one: (one.env, one.protocol != "sticky", one.protocol, one.seed)):
        agents = [_agent(name, group, colours[name]) for name, group in groups[conditions].items()]
        found[conditions] = sorted(agents, key=lambda one: float(np.mean(one.scores("max_x"))))
    return found


def _order(record: Record) -> tuple[bool, str, int]:
    kinds = ("reference", "replay")
    return record.agent.kind in kinds, record.agent.kind, -(record.agent.training_steps or 0)


def _agent(name: str, records: list[Record], colour: int) -> AgentResult:
    seeds = [record.agent.training_seed for record in records]
    if len(set(seeds)) < len(seeds):
        raise InputError(
            f"{name}: expected one evaluation for each training seed, found several for {max(seeds, key=seeds.count)}; "
            "evaluate takes --name and --training-seed"
        )
    counts = {len(record.episodes) for record in records}
    if len(counts) > 1:
        raise InputError(f"{name}: expected as many episodes for each training seed, found {sorted(counts)}")
    ordered = sorted(records, key=lambda record: record.agent.training_seed or 0)
    return AgentResult(name, ordered[0].agent, ordered, colour)

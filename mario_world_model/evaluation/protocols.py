"""Under which conditions agents are compared: the same for every agent, by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mario_world_model.config import TEST_SEEDS, EvaluateConfig, ProtocolName
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.evaluation.places import PLACES
from mario_world_model.rollouts.route import ROUTE_STAGE


@dataclass(frozen=True)
class Protocol:
    """What is unpredictable about an episode."""

    sticky: float
    noops: int
    spread: bool = False
    """Whether episodes begin all over the level instead of at its start."""
    about: str = ""


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "sticky": Protocol(0.25, 30, about="sticky actions 0.25, up to 30 no-op frames first; the headline"),
    "deterministic": Protocol(0.0, 0, about="the bare game: every episode begins alike and answers alike"),
    "noops": Protocol(0.0, 30, about="up to 30 no-op frames first, then the bare game"),
    "start-states": Protocol(0.25, 0, True, f"sticky actions 0.25, from {PLACES} places spread over 1-1"),
}


def under_protocol(config: EvaluateConfig) -> EvaluateConfig:
    """The configuration with what its protocol prescribes.

    Raises InputError when its seed is not one of the test seeds, or there are no places to begin from.
    """
    if config.protocol is None:
        return config
    protocol = PROTOCOLS[config.protocol]
    if config.seed not in TEST_SEEDS:
        raise InputError(
            f"--seed: expected a test seed, {TEST_SEEDS.start} to {TEST_SEEDS.stop - 1}, found {config.seed}"
        )
    if protocol.spread and parse_env_id(config.game.env).target != ROUTE_STAGE:
        raise InputError(
            f"--protocol {config.protocol}: expected 1-1, where a way through is known, found {config.game.env}"
        )
    game = dataclasses.replace(config.game, sticky=protocol.sticky, noops=protocol.noops)
    return dataclasses.replace(config, game=game)

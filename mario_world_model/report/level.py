"""Where agents die: heat maps over the level, and the last moments of a middling episode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mario_world_model.config import ConsoleConfig, GameConfig
from mario_world_model.emulation.rom import find_rom
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.report.agents import AgentResult, Conditions
from mario_world_model.report.document import Block, Figure, Section, Text
from mario_world_model.report.film import last_moments, middle_episode
from mario_world_model.report.heat_map import heat_map, pieces
from mario_world_model.report.level_map import map_level, png
from mario_world_model.rollouts.route import ROUTE_STAGE


def level(conditions: Conditions, agents: Sequence[AgentResult], console: ConsoleConfig) -> Section:
    """The section of one protocol; a sentence in place of pictures where the game is missing."""
    return Section(f"Where they die: protocol {conditions.protocol}", list(_blocks(conditions, agents, console)))


def _blocks(conditions: Conditions, agents: Sequence[AgentResult], console: ConsoleConfig) -> Iterator[Block]:
    target = parse_env_id(conditions.env)
    try:
        find_rom(target.mode, console.rom)
    except InputError as missing:
        yield Text(f"There are no pictures of the level here: {missing}.")
        return
    if target.target == ROUTE_STAGE:
        drawn = map_level(GameConfig(env=conditions.env, backend=console.backend, rom=console.rom))
        addresses = pieces(drawn)
        yield Text(
            "The level in four pieces, one below the other, stitched from screens of the game. A red dot is a death; "
            "the blue strip below the ground is the share of episodes that were there."
        )
        for number, agent in enumerate(reversed(agents)):
            deaths = sum(episode.died for episode in agent.episodes)
            caption = f"{agent.name}: {deaths} deaths in {len(agent.episodes)} episodes."
            yield Figure(
                f"deaths_{conditions.protocol}_{number + 1}",
                caption,
                heat_map(drawn, agent.episodes, addresses, caption),
                wide=True,
            )
    yield Text("The last moments of each agent's middling episode, the one that half of its episodes get as far as.")
    for number, agent in enumerate(reversed(agents)):
        record, episode = middle_episode(agent)
        strip = last_moments(record, episode)
        ending = "the flag" if episode.flag else "death" if episode.died else "the end of its time"
        if strip is None:
            yield Text(
                f"{agent.name}: its recorded actions do not lead to the same end here, so that there is no picture."
            )
        else:
            yield Figure(
                f"last_moments_{conditions.protocol}_{number + 1}",
                f"{agent.name}, episode {episode.index}: 24, 16, 8, 4, 2 and 0 steps before {ending} at "
                f"x = {episode.end[0]}.",
                png(strip),
                "png",
                wide=True,
            )

"""The last moments of a recorded episode, played again from its actions."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.places import place
from mario_world_model.evaluation.protocols import PROTOCOLS
from mario_world_model.evaluation.record import Record
from mario_world_model.report.agents import AgentResult
from mario_world_model.rollouts.play import game_seed
from mario_world_model.rollouts.route import unpack_runs
from mario_world_model.utils.environment import MarioEnv, make_env
from mario_world_model.utils.video import side_by_side

Screen = NDArray[np.uint8]
_BEFORE = (24, 16, 8, 4, 2, 0)  # steps before the end
_X, _Y = TRUTH_FIELDS.index("x"), TRUTH_FIELDS.index("y")


def middle_episode(agent: AgentResult) -> tuple[Record, EpisodeScore]:
    """The episode that got as far as half of them do."""
    every = [(record, episode) for record in agent.records for episode in record.episodes]
    every.sort(key=lambda pair: (pair[1].max_x, pair[1].index))
    return every[len(every) // 2]


def last_moments(record: Record, episode: EpisodeScore) -> Screen | None:
    """Screens before the end of an episode side by side, (H, W, 3), at half their size.

    None where the record has no actions, or they do not lead to the same end here: on another backend, say.
    """
    actions = unpack_runs(episode.played)
    if not actions:
        return None
    wanted = {max(0, len(actions) - before) for before in _BEFORE}
    # What was executed is known: stickiness must not change it again.
    game = dataclasses.replace(record.game, sticky=0.0)
    protocol = PROTOCOLS.get(record.protocol)  # type: ignore[call-overload]
    start = place(game, episode.index) if protocol is not None and protocol.spread else None
    env = make_env(game)
    console = env.unwrapped
    assert isinstance(console, MarioEnv)
    screens = []
    try:
        screen, _ = env.reset(seed=game_seed(record.seed, episode.index))
        if start is not None:
            screen = console.load_state(start)
        for number, action in enumerate([*actions, None]):
            if number in wanted:
                screens.append(screen[::2, ::2])
            if action is None:
                break
            screen, _, over, _, _ = env.step(action)
            if over and number + 1 < len(actions):
                return None
        truth = console.truth()
    finally:
        env.close()
    if (int(truth[_X]), int(truth[_Y])) != episode.end:
        return None
    return side_by_side(screens)

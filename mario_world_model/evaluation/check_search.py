"""Play the plans that a search in the dream chooses, and see how often they kill.

    python -m mario_world_model.evaluation.check_search --pretrained
    python -m mario_world_model.evaluation.check_search --vae checkpoints/vae_mario.pt \
        --mdnrnn checkpoints/mdn_rnn_mario.pt --controller checkpoints/controller_mario.pt

Whoever picks the best of many plans picks those that M is wrong about. What a world model says of episodes that were
played anyway, as `mario-world-model probe` asks it, does not show that.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from mario_world_model import pretrained
from mario_world_model.command import run_command
from mario_world_model.config import CheckSearchConfig, GameConfig, LookaheadConfig, to_plain
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import with_rom
from mario_world_model.evaluation.places import place
from mario_world_model.evaluation.record import origin_of
from mario_world_model.evaluation.unfinished import Unfinished
from mario_world_model.lookahead import LookaheadAgent
from mario_world_model.models.agent import Agent
from mario_world_model.plans import Plans
from mario_world_model.policies.choice import PolicyChoice, agent_of, controls_of
from mario_world_model.policies.world_model import WorldModelPolicy
from mario_world_model.rollouts.play import play
from mario_world_model.stray import StrayingAgent
from mario_world_model.training.resume import settings_of
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.environment import MarioEnv, make_env
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.progress import progress
from mario_world_model.utils.seeding import stream, stream_seed
from mario_world_model.utils.workers import WorkerPool

BANDS = (0.0, 0.01, 0.03, 0.08, 0.2, 1.0)
"""Dreamt chances of death between which situations are looked at together."""

_STRAY = 0.15
_FIRST, _SPREAD, _PATIENCE = 8, 40, 40  # steps: before the search is asked, by lot, and until it has something to say
_ASKED = 192  # dreams in which the plan that it chose is dreamt anew
_STEP_STREAM, _SEARCH_STREAM, _GAME_STREAM = 50, 51, 52
_X, _FLAG = TRUTH_FIELDS.index("x"), TRUTH_FIELDS.index("flag")


@dataclass(frozen=True)
class Outcome:
    """What became of one plan."""

    x: int
    """Where it began, pixels from the start of the level."""
    dreamt: float
    """Chance of death that M gives it, in other dreams than those it was chosen by."""
    real: float
    """Share of its tries in the game that ended in death."""


@dataclass(frozen=True)
class Asked:
    """One episode, and what became of the plan of its search; None where nothing was in danger."""

    index: int
    outcome: Outcome | None


@dataclass(frozen=True)
class Band:
    """Mean chances of death of plans to which the dream gives one in [first, last)."""

    first: float
    last: float
    situations: int
    dreamt: float
    real: float
    error: float | None
    """Standard error of real − dreamt over situations; None for a single one."""


@dataclass(frozen=True)
class _Task:
    game: GameConfig
    choice: PolicyChoice
    seed: int
    index: int
    tries: int


@dataclass
class _PlanThenController(Agent):
    """Goes on where another agent is: a plan first, whatever it sees, and then what the controller chooses."""

    before: Agent
    plan: Plans
    _left: Plans | None = field(init=False)

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self.take_over(self.before)
        self._left = self.plan

    def _choose(self, latents: Tensor) -> Tensor:
        own = super()._choose(latents)
        if self._left is None:
            return own
        action = self._left.actions[:, 0]
        self._left = self._left.rest()
        return action


def check_search(config: CheckSearchConfig) -> list[Outcome]:
    """The outcomes of all plans, one an episode at most; `config.output` gets them as JSON, with their bands.

    Those of finished episodes are safe at once, in <output>.partial.
    """
    choice = _choice_of(config)
    game = with_rom(config.game.with_controls(*controls_of(choice, GameConfig())))
    with sole_writer(config.output):
        settings = _settings(config, choice, game)
        asked = Unfinished(config.output, settings, config.resume, _asked_from_plain)
        there = {one.index for one in asked.episodes}
        tasks = [_Task(game, choice, config.seed, index, config.tries) for index in range(config.episodes)]
        waiting = [task for task in tasks if task.index not in there]
        done = len(tasks) - len(waiting)
        with WorkerPool(config.workers) as pool, progress("episodes", len(tasks), "episode", done=done) as bar:
            for _, one in pool.run(_ask, waiting):
                asked.add(one)
                bar.update()
        episodes = sorted((one for one in asked.episodes if one.index < len(tasks)), key=lambda one: one.index)
        outcomes = [one.outcome for one in episodes if one.outcome is not None]
        if not outcomes:
            raise InputError(
                f"--episodes {config.episodes}: expected episodes in which the agent is in danger, found none; "
                "more of them, or a lower --lookahead-doubt, may have some"
            )
        with written_whole(config.output) as temporary:
            plain = {"config": to_plain(config), "bands": to_plain(in_bands(outcomes)), "outcomes": to_plain(outcomes)}
            temporary.write_text(json.dumps(plain, indent=2) + "\n")
        if len(episodes) == len(asked.episodes):
            asked.forget()
    return outcomes


def _settings(config: CheckSearchConfig, choice: PolicyChoice, game: GameConfig) -> dict[str, Any]:
    """All that an outcome depends on beside its episode's index, as plain values."""
    return {
        **settings_of(game),
        **settings_of(config.lookahead),
        **origin_of(choice, config.pretrained).files,
        "rom": rom_sha1(find_rom(parse_env_id(game.env).mode, game.rom)),
        "seed": config.seed,
        "tries": config.tries,
    }


def _asked_from_plain(plain: dict[str, Any]) -> Asked:
    outcome = plain["outcome"]
    found = None if outcome is None else Outcome(int(outcome["x"]), float(outcome["dreamt"]), float(outcome["real"]))
    return Asked(int(plain["index"]), found)


def in_bands(outcomes: Sequence[Outcome]) -> list[Band]:
    """Outcomes by what the dream says of them, those bands that have any, and all of them last."""
    dreamt, real = (np.array([getattr(one, name) for one in outcomes]) for name in ("dreamt", "real"))
    limits = list(pairwise(BANDS))
    found = []
    for first, last in [*limits, (BANDS[0], BANDS[-1])]:
        here = (dreamt >= first) & ((dreamt < last) | (last == BANDS[-1]))
        count = int(here.sum())
        if count:
            gap = real[here] - dreamt[here]
            error = float(gap.std(ddof=1) / np.sqrt(count)) if count > 1 else None
            found.append(Band(first, last, count, float(dreamt[here].mean()), float(real[here].mean()), error))
    return found


def _choice_of(config: CheckSearchConfig) -> PolicyChoice:
    files = (config.vae, config.mdnrnn, config.controller)
    given = sum(file is not None for file in files)
    if given != (0 if config.pretrained else len(files)):
        raise InputError(
            f"expected one agent: --vae, --mdnrnn and --controller, or --pretrained; found {given} of the three files "
            f"{'beside' if config.pretrained else 'and no'} --pretrained"
        )
    vae, mdnrnn, controller = (
        (pretrained.VAE, pretrained.MDN_RNN, pretrained.CONTROLLER) if config.pretrained else files
    )
    return PolicyChoice(vae=vae, mdnrnn=mdnrnn, controller=controller, lookahead=config.lookahead)


def _ask(task: _Task) -> Asked:
    """Play one episode. Runs in a worker process.

    The controller plays it, astray at times: where an agent gets to that looks ahead is not where its controller does.
    """
    known = agent_of(task.choice)
    lookahead: LookaheadConfig = task.choice.lookahead
    player = StrayingAgent(known.world_model, known.controller, lookahead.lookahead_holds, _STRAY)
    # It is asked where it is in danger alone, and need not search wherever it gets nowhere until then.
    wary = dataclasses.replace(lookahead, lookahead_progress=None, lookahead_still=0)
    searcher = LookaheadAgent(known.world_model, known.controller, wary)
    first = _FIRST + int(stream(task.seed, task.index, _STEP_STREAM).integers(_SPREAD))
    start = place(task.game, task.index)
    env = make_env(task.game)
    game = env.unwrapped
    assert isinstance(game, MarioEnv)
    try:
        moments = play(env, WorldModelPolicy(player), task.seed, task.index, first + _PATIENCE, start)
        for step, moment in enumerate(moments):
            if moment.terminated:
                break
            if step < first:
                continue
            seed = stream_seed(task.seed, task.index, _SEARCH_STREAM)
            searcher.reset(seed)
            searcher.take_over(player)
            WorldModelPolicy(searcher).act(moment.screen)
            if not searcher.in_danger:
                continue
            assert searcher.chosen is not None
            state, x = game.save_state(), int(moment.truth[_X])
            agent = _PlanThenController(known.world_model, known.controller, player, searcher.chosen)
            tries_seed = stream_seed(task.seed, task.index, _GAME_STREAM)
            died = 0
            for number in range(task.tries):
                *_, last = play(env, WorldModelPolicy(agent), tries_seed, number, lookahead.lookahead_steps, state)
                died += last.terminated and not last.truth[_FLAG]
            dreamt = searcher.chance_of_death(_ASKED, seed + 1)
            return Asked(task.index, Outcome(x, dreamt, died / task.tries))
        return Asked(task.index, None)
    finally:
        env.close()


def describe_outcomes(outcomes: Sequence[Outcome], episodes: int, tries: int) -> str:
    """Their bands as a table."""
    lines = [
        f"{len(outcomes)} plans that a search chose in {episodes} episodes, each played {tries} times; "
        "how often they kill: dreamt | real"
    ]
    *bands, everything = in_bands(outcomes)
    lines += [f"  dreamt {one.first:4.0%} to {one.last:4.0%}: {_means(one)}" for one in bands]
    return "\n".join([*lines, f"  {'all':<19} {_means(everything)}"])


def _means(band: Band) -> str:
    error = "" if band.error is None else f" (real − dreamt ± {band.error:.1%})"
    return f"{band.dreamt:5.1%} | {band.real:5.1%}{error}, {band.situations} plans"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(CheckSearchConfig, _report, "mario-world-model check-search", arguments)


def _report(config: CheckSearchConfig) -> None:
    print(describe_outcomes(check_search(config), config.episodes, config.tries))


if __name__ == "__main__":
    sys.exit(main())

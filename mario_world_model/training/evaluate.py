"""Play an agent in the real game and report its score.

    python -m mario_world_model.training.evaluate --vae checkpoints/vae_mario.pt \
        --mdnrnn checkpoints/mdn_rnn_mario.pt --controller checkpoints/controller_mario.pt \
        --env SuperMarioBros-1-1-v0 --episodes 10
    python -m mario_world_model.training.evaluate --ppo checkpoints/ppo_mario \
        --env SuperMarioBros-1-1-v0 --episodes 10

What a trained agent has to beat:

    python -m mario_world_model.training.evaluate --policy uniform --episodes 20

The agent that comes with the package:

    python -m mario_world_model.training.evaluate --pretrained

With --output the record of it is what `mario-world-model report` takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

from mario_world_model import pretrained
from mario_world_model.command import run_command
from mario_world_model.config import EvaluateConfig, GameConfig, to_plain
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.emulation.stages import parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore, evaluate_policy
from mario_world_model.evaluation.protocols import PROTOCOLS, under_protocol
from mario_world_model.evaluation.record import Record, episode_from_plain, origin_of, write_record
from mario_world_model.evaluation.summary import Summary, describe, summarise
from mario_world_model.evaluation.unfinished import Unfinished
from mario_world_model.evaluation.watch import record_episode, show_episode
from mario_world_model.policies.choice import EXPLORE, PolicyChoice, choose_policy, controls_of
from mario_world_model.policies.replay import furthest_episode
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training.resume import settings_of
from mario_world_model.utils.executor import open_executor
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.progress import progress
from mario_world_model.utils.provenance import provenance


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    summary: Summary
    scores: list[EpisodeScore]
    video: Path | None


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Play the episodes of a configuration and write what it asks for."""
    config = under_protocol(config)
    choice = choice_of(config)
    known = origin_of(choice, config.pretrained)
    origin = dataclasses.replace(
        known,
        name=config.name or known.name,
        training_seed=known.training_seed if config.training_seed is None else config.training_seed,
        core_hours=known.core_hours if config.core_hours is None else config.core_hours,
        training_steps=known.training_steps if config.training_steps is None else config.training_steps,
    )
    game = config.game.with_controls(*controls_of(choice, GameConfig()))
    rom = rom_sha1(find_rom(parse_env_id(game.env).mode, game.rom))
    with sole_writer(config.output) if config.output else contextlib.nullcontext():
        settings = _settings(config, choice, game, {**origin.files, "rom": rom})
        played = Unfinished(config.output, settings, config.resume, episode_from_plain)
        _play(config, choice, game, played)
        asked = [score for score in played.episodes if score.index < config.episodes]
        scores = sorted(asked, key=lambda score: score.index)
        evaluation = Evaluation(summarise(scores), scores, _watch(config, choice, game))
        if config.output is not None:
            record = Record(
                agent=origin,
                protocol=config.protocol or "custom",
                game=game,
                seed=config.seed,
                max_steps=config.max_steps,
                summary=evaluation.summary,
                episodes=scores,
                seconds=round(played.seconds, 1),
                provenance={**provenance(), "rom_sha1": rom},
                config=to_plain(config),
            )
            write_record(config.output, record)
        if len(scores) == len(played.episodes):
            played.forget()
    return evaluation


def _settings(config: EvaluateConfig, choice: PolicyChoice, game: GameConfig, files: dict[str, str]) -> dict[str, Any]:
    """All that an episode depends on beside its index, as plain values."""
    return {
        **settings_of(game),
        **settings_of(config.lookahead),
        **files,
        "policy": choice.code or choice.reference,
        "replay": None if choice.replay is None else list(choice.replay.steps),
        "seed": config.seed,
        "max_steps": config.max_steps,
        "spread": _spread(config),
    }


def _spread(config: EvaluateConfig) -> bool:
    """Whether episodes begin in places spread over the level."""
    return config.protocol is not None and PROTOCOLS[config.protocol].spread


def _play(config: EvaluateConfig, choice: PolicyChoice, game: GameConfig, played: Unfinished[EpisodeScore]) -> None:
    """Play those episodes that are not there yet."""
    waiting = sorted(set(range(config.episodes)) - {score.index for score in played.episodes})
    with (
        open_executor(config.cluster, config.workers) as executor,
        progress(choice.name, config.episodes, "episode", done=config.episodes - len(waiting)) as bar,
    ):
        for score in evaluate_policy(game, choice, waiting, config.seed, config.max_steps, executor, _spread(config)):
            played.add(score)
            bar.update()


def choice_of(config: EvaluateConfig) -> PolicyChoice:
    """The one agent that the flags name; InputError when they name none or several."""
    parts = {"--vae": config.vae, "--mdnrnn": config.mdnrnn, "--controller": config.controller}
    given = [flag for flag, path in parts.items() if path is not None]
    agents = (bool(given), config.pretrained, config.ppo is not None, config.policy is not None)
    if sum(agents) != 1:
        raise InputError(
            "expected one agent: --vae, --mdnrnn and --controller, or --pretrained, or --ppo, or --policy; "
            f"found {sum(agents) or 'none'}"
        )
    if (config.policy == "replay") != (config.dataset is not None):
        raise InputError("expected --policy replay and --dataset together, found one of them")
    if config.policy is not None and config.policy != "replay":
        if config.policy == EXPLORE:
            raise InputError("--policy: expected an agent, found explore, which is a way to collect")
        return choose_policy(config.policy, config.vae, config.mdnrnn, config.trust, config.lookahead)
    if config.pretrained:
        return PolicyChoice(
            vae=pretrained.VAE,
            mdnrnn=pretrained.MDN_RNN,
            controller=pretrained.CONTROLLER,
            lookahead=config.lookahead,
        )
    if config.dataset is not None:
        return PolicyChoice(replay=furthest_episode(open_dataset(config.dataset)), lookahead=config.lookahead)
    if given and len(given) < len(parts):
        missing = ", ".join(flag for flag in parts if flag not in given)
        raise InputError(f"expected {missing} beside {', '.join(given)}, found nothing")
    return PolicyChoice(
        ppo=config.ppo,
        vae=config.vae,
        mdnrnn=config.mdnrnn,
        controller=config.controller,
        trust=config.trust,
        lookahead=config.lookahead,
    )


def _watch(config: EvaluateConfig, choice: PolicyChoice, game: GameConfig) -> Path | None:
    """Show or record the first episode; returns the video's path if one was written."""
    video = config.video
    if config.render and not show_episode(game, choice, config.seed, 0, config.max_steps):
        video = video or Path("logs") / f"{choice.name.replace(' ', '_')}.mp4"
    if video is not None:
        record_episode(video, game, choice, config.seed, 0, config.max_steps)
    return video


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(EvaluateConfig, _report, "mario-world-model evaluate", arguments)


def _report(config: EvaluateConfig) -> None:
    evaluation = evaluate(config)
    print(describe(choice_of(config).name, evaluation.summary))
    for path in filter(None, (evaluation.video, config.output)):
        print(path)


if __name__ == "__main__":
    sys.exit(main())

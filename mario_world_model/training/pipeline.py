"""The stages in order: from nothing to a controller that plays the real game, with the evidence.

    mario-world-model run --preset demo --output demo

Many stages of the game, each in a folder of its own:

    mario-world-model run --preset demo --stages all --output runs
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import imageio.v3 as iio
import numpy as np

from mario_world_model.checkpoints import load_world_model
from mario_world_model.command import run_command
from mario_world_model.config import (
    TEST_SEEDS,
    CollectConfig,
    EvaluateConfig,
    LookaheadConfig,
    PlayConfig,
    RunConfig,
    TrainControllerConfig,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    preset_config,
    to_plain,
)
from mario_world_model.errors import InputError
from mario_world_model.evaluation.dream_beside_reality import compare, filmstrip, video_frames
from mario_world_model.evaluation.summary import Summary, describe
from mario_world_model.models.precision import precision_on
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.episode import Episode
from mario_world_model.training.data_collection import collect
from mario_world_model.training.evaluate import evaluate
from mario_world_model.training.gathering import collection_waits
from mario_world_model.training.journal import Journal
from mario_world_model.training.resume import settings_of
from mario_world_model.training.rounds import Collected, Round
from mario_world_model.training.run_view import RunView
from mario_world_model.training.train_controller import ControllerFigures, fittest, train_controller
from mario_world_model.training.train_mdn_rnn import MDNRNNFigures, train_mdn_rnn
from mario_world_model.training.train_vae import VAEFigures, train_vae
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.tracking import config_file, save_config
from mario_world_model.utils.video import write_video
from mario_world_model.utils.weights_and_biases import require_wandb

EVALUATION_SEEDS = TEST_SEEDS.start
"""Added to the seed of a run: evaluation plays no episode that a stage has seen."""
_DREAM_STEPS = 60

Figures = TypeVar("Figures")


@dataclass(frozen=True)
class Explored:
    """What exploration gave, or a controller that is not judged by it."""

    episodes: int


@dataclass(frozen=True)
class Result:
    """What a run gave; written as summary.json."""

    vae: VAEFigures
    rounds: list[Round]
    episodes: int
    """Real episodes in the data set."""
    steps: int
    """Agent steps in them."""
    agent: Summary
    random: Summary
    seconds: float


class _Parts:
    """Where V, M and C of a round, or of the whole run, are."""

    def __init__(self, vae: Path, folder: Path) -> None:
        self.vae = vae
        self.mdnrnn = folder / "mdn_rnn_mario.pt"
        self.controller = folder / "controller_mario.pt"


class _Run:
    """The stages of one run, configured alike and writing into one folder."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.folder = config.output
        self.dataset = config.output / "rollouts"
        self.logs = config.output / "logs"
        self.result = _Parts(config.output / "vae_mario.pt", config.output)
        play = {item.name: getattr(config.game, item.name) for item in dataclasses.fields(PlayConfig)}
        self._play = PlayConfig(**play)
        self._precision = precision_on(choose_device(config.device), config.precision)

    def parts(self, number: int) -> _Parts:
        """V is the same in all rounds; M and C are kept of each."""
        return _Parts(self.result.vae, self.folder / f"round-{number + 1}")

    def collect_base(self) -> Explored:
        """The first episodes, which explore the level."""
        collect(dataclasses.replace(self._collection(), episodes=self.config.episodes))
        return Explored(len(self.episodes()))

    def collect_alone(self, number: int) -> Explored:
        """Add episodes in which a round's controller does not look ahead."""
        alone, stray = self.config.round_episodes_alone, self.config.round_stray_alone
        return Explored(len(self._add(number, alone, self._before(number), LookaheadConfig(), stray)))

    def collect_with(self, number: int) -> Collected:
        """Add episodes of a round's agent."""
        added = self.config.round_episodes
        before = self._before(number) + self.config.round_episodes_alone
        episodes = self._add(number, added, before, self.config.lookahead, self.config.round_stray)
        own = episodes[-added:]
        # How good a controller is, an episode from the start of the level says; of a handful there may be none.
        played = [episode for episode in own if episode.info.start == "level"] or own
        return Collected(
            episodes=len(episodes),
            steps=sum(len(episode) for episode in episodes),
            real_score=float(np.mean([episode.rewards.sum() for episode in played])),
            real_max_x=float(np.mean([_furthest(episode) for episode in played])),
            flags=float(np.mean([episode.reached_flag for episode in played])),
        )

    def _before(self, number: int) -> int:
        """Episodes of the data set that a round adds to."""
        return self.config.episodes + number * self.config.episodes_of_round

    def _add(self, number: int, added: int, before: int, lookahead: LookaheadConfig, stray: float) -> Sequence[Episode]:
        """The data set with so many more episodes of a round's controller."""
        parts = self.parts(number)
        config = dataclasses.replace(
            self._collection(),
            policy=str(parts.controller),
            vae=parts.vae,
            mdnrnn=parts.mdnrnn,
            episodes=added,
            max_steps=self.config.round_max_steps,
            elsewhere=self.config.round_elsewhere,
            lookahead=lookahead,
            stray=stray,
            append=True,
        )
        # A run may have been broken off between the last episode and the note of it in the journal.
        if collection_waits(self.dataset) or len(self.episodes()) < before + added:
            collect(config)
        return self.episodes()

    def episodes(self) -> Sequence[Episode]:
        """The data set as it is now."""
        return open_dataset(self.dataset).episodes

    def train_vae(self) -> VAEFigures:
        preset = preset_config(TrainVAEConfig, self.config.preset)
        return train_vae(
            dataclasses.replace(
                preset,
                max_minutes=preset.max_minutes * self.config.time_factor,
                dataset=self.dataset,
                output=self.result.vae,
                epochs=self.config.vae_epochs,
                device=self.config.device,
                precision=self._precision,
                resume=self.config.resume,
                logs=self.logs,
                wandb=self.config.wandb,
                seed=self.config.seed,
            )
        )

    def train_mdn_rnn(self, number: int) -> MDNRNNFigures:
        preset = preset_config(TrainMDNRNNConfig, self.config.preset)
        share = self._share(number)
        return train_mdn_rnn(
            dataclasses.replace(
                preset,
                epochs=math.ceil(self.config.mdn_rnn_epochs * share),
                max_minutes=preset.max_minutes * share * self.config.time_factor,
                learning_rate=preset.learning_rate * (self.config.round_rate if number else 1.0),
                newest=self.config.episodes_of_round if number else 0,
                dataset=self.dataset,
                vae=self.result.vae,
                init=self.parts(number - 1).mdnrnn if number else None,
                output=self.parts(number).mdnrnn,
                device=self.config.device,
                precision=self._precision,
                resume=self.config.resume,
                logs=self.logs,
                wandb=self.config.wandb,
                seed=self.config.seed + number,
            )
        )

    def _share(self, number: int) -> float:
        """How much of the first round's training of M a round has."""
        if number == 0:
            return 1.0
        last = self.config.last_share if self.config.is_last(number) else 0.0
        return last or self.config.round_share

    def train_controller(self, number: int) -> ControllerFigures:
        """Evolve on from that controller of the rounds before which does best in the new dream.

        It has seen all of them fail, and can tell them apart by more dreams than there are real episodes.
        """
        preset = preset_config(TrainControllerConfig, self.config.preset)
        config = dataclasses.replace(
            preset,
            max_minutes=preset.max_minutes * self.config.time_factor,
            iterations=self.config.generations,
            sees=self.config.sees,
            units=self.config.units,
            sigma=self.config.sigma,
            population_size=self.config.population_size,
            starts_per_candidate=self.config.starts_per_candidate,
            dream_parts=self.config.dream_parts,
            dream_on=self.config.dream_on,
            vae=self.result.vae,
            mdnrnn=self.parts(number).mdnrnn,
            output=self.parts(number).controller,
            game=self._play,
            workers=self.config.workers,
            cluster=self.config.cluster,
            device=self.config.device,
            precision=self._precision,
            resume=self.config.resume,
            logs=self.logs,
            wandb=self.config.wandb,
            seed=self.config.seed + number,
        )
        if number:
            earlier = [self.parts(before).controller for before in range(number)]
            config = dataclasses.replace(config, init=fittest(earlier, config))
        return train_controller(config)

    def keep(self, number: int) -> None:
        """Make a round's M and C the run's."""
        chosen = self.parts(number)
        for source, target in (
            (chosen.mdnrnn, self.result.mdnrnn),
            (chosen.controller, self.result.controller),
        ):
            for made, kept in ((source, target), (config_file(source), config_file(target))):
                with written_whole(kept) as temporary:
                    shutil.copyfile(made, temporary)

    def evaluate(self) -> tuple[Summary, Summary]:
        """The agent and a uniformly random one in the same episodes, which no stage has seen."""
        base = dataclasses.replace(
            preset_config(EvaluateConfig, self.config.preset),
            game=self._play,
            workers=self.config.workers,
            cluster=self.config.cluster,
            resume=self.config.resume,
            seed=self.config.seed + EVALUATION_SEEDS,
        )
        agent = dataclasses.replace(
            base,
            vae=self.result.vae,
            mdnrnn=self.result.mdnrnn,
            controller=self.result.controller,
            lookahead=self.config.lookahead,
            video=self.folder / "agent.mp4",
            output=self.folder / "agent.json",
        )
        random = dataclasses.replace(base, policy="uniform", output=self.folder / "random.json")
        return evaluate(agent).summary, evaluate(random).summary

    def picture_dream(self, dataset: Dataset) -> None:
        """Video and filmstrip of a held-out episode beside its dream."""
        world_model, _ = load_world_model(self.result.vae, self.result.mdnrnn)
        episode = max((dataset.episodes[index] for index in dataset.split()[1]), key=_furthest)
        comparison = compare(world_model, episode, 0, _DREAM_STEPS, temperature=0.5, seed=self.config.seed)
        fps = 60 / self.config.game.frame_skip
        write_video(self.folder / "dream_beside_reality.mp4", video_frames(comparison), fps)
        with written_whole(self.folder / "dream_beside_reality.png") as temporary:
            iio.imwrite(temporary, filmstrip(world_model, episode))

    def _collection(self) -> CollectConfig:
        return dataclasses.replace(
            preset_config(CollectConfig, self.config.preset),
            game=self.config.game,
            output=self.dataset,
            workers=self.config.workers,
            cluster=self.config.cluster,
            resume=self.config.resume,
            seed=self.config.seed,
        )


def run(config: RunConfig) -> Result:
    """Run every stage that is not done yet and write the summary.

    The controller of a run is that of its last round: real episodes choose none, and end the run early at most.
    Other settings in the folder of a finished run replace what it made.
    """
    if config.wandb:
        require_wandb()  # before a collection of hours
    with sole_writer(config.output / "run"):
        return _run(config, Journal(config.output, settings_of(config), config.resume))


def _run(config: RunConfig, journal: Journal) -> Result:
    stages = _Run(config)
    save_config(config.output / "run", config)
    title = f"{config.game.env} → {config.output}"
    at_most = 2 + sum(len(_names_of_round(config, number)) for number in range(config.rounds)) + 1
    with RunView(title, at_most, config.rounds) as view:
        watched = _Watched(journal, view)
        watched.stage("explore", Explored, stages.collect_base)
        vae = watched.stage("vae", VAEFigures, stages.train_vae)
        rounds: list[Round] = []
        for number in range(config.rounds):
            rounds.append(_round(stages, watched, number))
            view.round_done(rounds[-1])
            collected = rounds[-1].collected
            if collected and collected.flags >= config.stop_at_flags:
                break
        stages.keep(len(rounds) - 1)
        begun = time.monotonic()
        with view.stage("evaluation"):
            dataset = open_dataset(stages.dataset)
            stages.picture_dream(dataset)
            agent, random = stages.evaluate()
    seconds = journal.seconds + time.monotonic() - begun
    result = Result(vae, rounds, len(dataset.episodes), dataset.steps, agent, random, seconds)
    for name, content in (
        ("summary.json", json.dumps(to_plain(result), indent=2)),
        ("summary.md", describe_result(config, result)),
    ):
        with written_whole(config.output / name) as temporary:
            temporary.write_text(content + "\n")
    journal.finish()
    return result


class _Watched:
    """The journal, with somebody looking on."""

    def __init__(self, journal: Journal, view: RunView) -> None:
        self.journal, self._view = journal, view

    def stage(self, name: str, figures: type[Figures], work: Callable[[], Figures]) -> Figures:
        with self._view.stage(name):
            given = self.journal.stage(name, figures, work)
        self._view.stage_done(name, given, self.journal.seconds_of(name))
        return given


def _names_of_round(config: RunConfig, number: int) -> list[str]:
    """The stages of a round, of which the last one adds no episodes: there is nobody to learn from them."""
    stages = ["mdn-rnn", "controller"]
    if not config.is_last(number):
        stages += ["episodes alone", "episodes"] if config.round_episodes_alone else ["episodes"]
    return [f"{stage} of round {number + 1}" for stage in stages]


def _round(stages: _Run, watched: _Watched, number: int) -> Round:
    """Train M, evolve C on, and collect with it unless it is the last round."""
    names = _names_of_round(stages.config, number)
    mdn_rnn = watched.stage(names[0], MDNRNNFigures, lambda: stages.train_mdn_rnn(number))
    controller = watched.stage(names[1], ControllerFigures, lambda: stages.train_controller(number))
    collected = None
    if not stages.config.is_last(number):
        if stages.config.round_episodes_alone:
            watched.stage(names[2], Explored, lambda: stages.collect_alone(number))
        collected = watched.stage(names[-1], Collected, lambda: stages.collect_with(number))
    return Round(mdn_rnn, controller, collected, sum(watched.journal.seconds_of(name) for name in names))


def _furthest(episode: Episode) -> int:
    return int(episode.column("x").max())


def describe_result(config: RunConfig, result: Result) -> str:
    """The summary that a run ends with."""
    first, last = result.rounds[0], result.rounds[-1]
    own = [f"{one.collected.real_max_x:.0f}" for one in result.rounds if one.collected]
    gain = result.agent.mean_max_x - result.random.mean_max_x
    # Of the difference of two means; within twice this, chance explains it.
    error = math.hypot(
        result.agent.std_max_x / math.sqrt(result.agent.episodes),
        result.random.std_max_x / math.sqrt(result.random.episodes),
    )
    certainty = "more than chance explains" if abs(gain) > 2 * error else "not distinguishable from chance"
    verdict = (
        f"The controller got {gain:.0f} pixels further than the uniform random agent"
        if gain > 0
        else f"The controller did NOT get further than the uniform random agent: {-gain:.0f} pixels less"
    )
    protocol = f"sticky {config.game.sticky}, up to {config.game.noops} no-op frames"
    return "\n".join(
        [
            f"# {config.game.env} ({config.preset} preset)",
            "",
            f"- data: {result.episodes} real episodes, {result.steps} agent steps, "
            f"{result.steps * config.game.frame_skip} frames",
            f"- VAE held-out loss {result.vae.loss_before:.0f} → {result.vae.loss_after:.0f}, "
            f"PSNR {result.vae.psnr_after:.1f} dB",
            f"- MDN-RNN held-out loss {first.mdn_rnn.loss_before:.3f} → {last.mdn_rnn.loss_after:.3f}",
            f"- the controller is that of round {len(result.rounds)}; mean max x of the own episodes of rounds: "
            f"{', '.join(own) or 'none'}",
            f"- {describe('world model', result.agent)}",
            f"- {describe('uniform random', result.random)}",
            f"- {verdict} (mean max x over {result.agent.episodes} real episodes, {protocol}; standard error of the "
            f"difference {error:.0f}: {certainty}).",
            f"- {result.seconds / 60:.1f} minutes in all",
            "",
            f"Watch it: {config.output / 'agent.mp4'} (the agent in the real game), "
            f"{config.output / 'dream_beside_reality.mp4'} (real | reconstruction | dream | difference).",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(RunConfig, _report, "mario-world-model run", arguments)


def finished(config: RunConfig) -> bool:
    """Whether this very run is done and its summary is there."""
    there = config.resume and (config.output / "summary.md").is_file()
    return there and Journal(config.output, settings_of(config), True).finished


def _report(config: RunConfig) -> None:
    if config.stages:
        # It runs this pipeline for each of them.
        from mario_world_model.training.sweep import sweep

        failures = sweep(config)
        print((config.output / "sweep.md").read_text().strip())
        if failures:
            raise InputError("; ".join(f"{failure.stage}: {failure.why}" for failure in failures))
    elif finished(config):
        print(f"{config.output}: complete already; --no-resume starts over", file=sys.stderr)
        print((config.output / "summary.md").read_text().strip())
    else:
        print(describe_result(config, run(config)))


if __name__ == "__main__":
    sys.exit(main())

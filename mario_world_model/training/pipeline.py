"""The stages in order: from nothing to a controller that plays the real game, with the evidence.

mario-world-model run --preset demo --output demo
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from dataclasses import dataclass

import imageio.v3 as iio

from mario_world_model.checkpoints import load_world_model
from mario_world_model.command import run_command
from mario_world_model.config import (
    CollectConfig,
    EvaluateConfig,
    PlayConfig,
    RunConfig,
    TrainControllerConfig,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    preset_config,
    to_plain,
)
from mario_world_model.evaluation.dream_beside_reality import compare, filmstrip, video_frames
from mario_world_model.evaluation.summary import Summary, describe
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.training.data_collection import collect
from mario_world_model.training.evaluate import evaluate
from mario_world_model.training.train_controller import ControllerFigures, train_controller
from mario_world_model.training.train_mdn_rnn import MDNRNNFigures, train_mdn_rnn
from mario_world_model.training.train_vae import VAEFigures, train_vae
from mario_world_model.utils.tracking import save_config
from mario_world_model.utils.video import write_video

_EVALUATION_SEEDS = 1_000_000  # evaluation plays no episode that a stage has seen
_DREAM_STEPS = 60


@dataclass(frozen=True)
class Round:
    """What one round gave."""

    episodes: int
    steps: int
    mdn_rnn: MDNRNNFigures
    controller: ControllerFigures
    seconds: float


@dataclass(frozen=True)
class Result:
    """What a run gave; written as summary.json."""

    vae: VAEFigures
    rounds: list[Round]
    agent: Summary
    random: Summary
    seconds: float


class _Run:
    """The stages of one run, configured alike and writing into one folder."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.folder = config.output
        self.dataset = config.output / "rollouts"
        self.vae = config.output / "vae_mario.pt"
        self.mdnrnn = config.output / "mdn_rnn_mario.pt"
        self.controller = config.output / "controller_mario.pt"
        self.logs = config.output / "logs"
        self._play = PlayConfig(
            **{item.name: getattr(config.game, item.name) for item in dataclasses.fields(PlayConfig)}
        )

    def collect(self, number: int) -> Dataset:
        """Round 0 plays the preset's policy, later rounds the controller so far."""
        config = dataclasses.replace(
            preset_config(CollectConfig, self.config.preset),
            game=self.config.game,
            output=self.dataset,
            workers=self.config.workers,
            seed=self.config.seed,
        )
        if number:
            config = dataclasses.replace(
                config,
                policy=str(self.controller),
                vae=self.vae,
                mdnrnn=self.mdnrnn,
                episodes=self.config.round_episodes,
                append=True,
            )
        collect(config)
        return open_dataset(self.dataset)

    def train_vae(self) -> VAEFigures:
        return train_vae(
            dataclasses.replace(
                preset_config(TrainVAEConfig, self.config.preset),
                dataset=self.dataset,
                output=self.vae,
                device=self.config.device,
                logs=self.logs,
                seed=self.config.seed,
            )
        )

    def train_mdn_rnn(self, number: int) -> MDNRNNFigures:
        return train_mdn_rnn(
            dataclasses.replace(
                preset_config(TrainMDNRNNConfig, self.config.preset),
                dataset=self.dataset,
                vae=self.vae,
                init=self.mdnrnn if number else None,
                output=self.mdnrnn,
                device=self.config.device,
                logs=self.logs,
                seed=self.config.seed + number,
            )
        )

    def train_controller(self, number: int) -> ControllerFigures:
        return train_controller(
            dataclasses.replace(
                preset_config(TrainControllerConfig, self.config.preset),
                vae=self.vae,
                mdnrnn=self.mdnrnn,
                init=self.controller if number else None,
                output=self.controller,
                game=self._play,
                workers=self.config.workers,
                device=self.config.device,
                logs=self.logs,
                seed=self.config.seed + number,
            )
        )

    def evaluate(self) -> tuple[Summary, Summary]:
        """The agent and a uniformly random one in the same episodes."""
        base = dataclasses.replace(
            preset_config(EvaluateConfig, self.config.preset),
            game=self._play,
            workers=self.config.workers,
            seed=self.config.seed + _EVALUATION_SEEDS,
        )
        agent = dataclasses.replace(
            base,
            vae=self.vae,
            mdnrnn=self.mdnrnn,
            controller=self.controller,
            video=self.folder / "agent.mp4",
            output=self.folder / "agent.json",
        )
        random = dataclasses.replace(base, policy="uniform", output=self.folder / "random.json")
        return evaluate(agent).summary, evaluate(random).summary

    def picture_dream(self, dataset: Dataset) -> None:
        """Video and filmstrip of a held-out episode beside its dream."""
        world_model, _ = load_world_model(self.vae, self.mdnrnn)
        episode = max((dataset.episodes[index] for index in dataset.split()[1]), key=len)
        first = min(len(episode) // 3, max(0, len(episode) - _DREAM_STEPS))
        comparison = compare(world_model, episode, first, _DREAM_STEPS, temperature=0.5, seed=self.config.seed)
        fps = 60 / self.config.game.frame_skip
        write_video(self.folder / "dream_beside_reality.mp4", video_frames(comparison), fps)
        iio.imwrite(self.folder / "dream_beside_reality.png", filmstrip(world_model, episode, first))


def run(config: RunConfig) -> Result:
    """Run every stage and write the summary; each stage's output replaces that of an earlier run."""
    begun = time.monotonic()
    stages = _Run(config)
    save_config(config.output / "run", config)
    rounds = []
    for number in range(config.rounds):
        started = time.monotonic()
        dataset = stages.collect(number)
        if number == 0:
            vae = stages.train_vae()
        mdn_rnn = stages.train_mdn_rnn(number)
        controller = stages.train_controller(number)
        rounds.append(Round(len(dataset.episodes), dataset.steps, mdn_rnn, controller, time.monotonic() - started))
        print(describe_round(number, rounds[-1]), flush=True)
    stages.picture_dream(dataset)
    agent, random = stages.evaluate()
    result = Result(vae, rounds, agent, random, time.monotonic() - begun)
    (config.output / "summary.json").write_text(json.dumps(to_plain(result), indent=2) + "\n")
    (config.output / "summary.md").write_text(describe_result(config, result) + "\n")
    return result


def describe_round(number: int, result: Round) -> str:
    """One line of the table of rounds."""
    return (
        f"round {number + 1}: {result.episodes} episodes, {result.steps} steps; MDN-RNN held-out loss "
        f"{result.mdn_rnn.loss_before:.3f} → {result.mdn_rnn.loss_after:.3f}, {result.mdn_rnn.death_recall:.0%} of "
        f"deaths seen a step ahead; controller's dreamt return {result.controller.fitness:.0f} after "
        f"{result.controller.generations} generations; {result.seconds:.0f} s"
    )


def describe_result(config: RunConfig, result: Result) -> str:
    """The summary that a run ends with."""
    first, last = result.rounds[0], result.rounds[-1]
    gain = result.agent.mean_max_x - result.random.mean_max_x
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
            f"- data: {last.episodes} real episodes, {last.steps} agent steps, "
            f"{last.steps * config.game.frame_skip} frames",
            f"- VAE held-out loss {result.vae.loss_before:.0f} → {result.vae.loss_after:.0f}, "
            f"PSNR {result.vae.psnr_after:.1f} dB",
            f"- MDN-RNN held-out loss {first.mdn_rnn.loss_before:.3f} → {last.mdn_rnn.loss_after:.3f}",
            f"- {describe('world model', result.agent)}",
            f"- {describe('uniform random', result.random)}",
            f"- {verdict} (mean max x over {result.agent.episodes} real episodes, {protocol}).",
            f"- {result.seconds / 60:.1f} minutes in all",
            "",
            f"Watch it: {config.output / 'agent.mp4'} (the agent in the real game), "
            f"{config.output / 'dream_beside_reality.mp4'} (real | reconstruction | dream).",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(RunConfig, _report, "mario-world-model run", arguments)


def _report(config: RunConfig) -> None:
    print(describe_result(config, run(config)))


if __name__ == "__main__":
    sys.exit(main())

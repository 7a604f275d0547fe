"""Train the MDN-RNN, M, on the latents of a data set.

    python -m mario_world_model.training.train_mdn_rnn --dataset data/mario_rollouts.pkl \
        --vae checkpoints/vae_mario.pt --epochs 30 --sequence-length 100 --output checkpoints/mdn_rnn_mario.pt

A few minutes on a laptop:

    python -m mario_world_model.training.train_mdn_rnn --preset demo

On two GPUs, or two processes of a CPU:

    torchrun --nproc-per-node 2 -m -- mario_world_model.training.train_mdn_rnn --dataset data/mario_rollouts.pkl
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mario_world_model.checkpoints import SavedVAE, load_mdn_rnn, load_vae, save_mdn_rnn
from mario_world_model.command import run_command
from mario_world_model.config import TrainMDNRNNConfig, to_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.emulation.landmarks import LANDMARKS
from mario_world_model.errors import InputError
from mario_world_model.evaluation.dream_beside_reality import filmstrip
from mario_world_model.evaluation.drift import place_errors
from mario_world_model.evaluation.foresight import open_loop
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.share import Share
from mario_world_model.models.vae import VAE
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.latents import LatentEpisode, encode_dataset
from mario_world_model.rollouts.sequences import SequenceBatch, SequencePool, draw_starts
from mario_world_model.training.adam import adam
from mario_world_model.training.arithmetic import check_arithmetic, compiling, reduced
from mario_world_model.training.budget import Budget
from mario_world_model.training.finite import require_finite
from mario_world_model.training.fit_endings import fit_endings
from mario_world_model.training.mdn_rnn_loss import MDNRNNLoss, mdn_rnn_loss
from mario_world_model.training.ranks import Ranks, first_of_all, join_ranks
from mario_world_model.training.resume import Run
from mario_world_model.training.weight_average import WeightAverage
from mario_world_model.utils.cost import cost_of_data, hours
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.progress import percent_progress
from mario_world_model.utils.seeding import stream, stream_seed, torch_stream
from mario_world_model.utils.signals import stop_between_steps

_WEIGHTS_STREAM, _BATCH_STREAM, _STARTS_STREAM, _HELD_OUT_STREAM, _LUCK_STREAM = 20, 21, 22, 23, 24
_ENDINGS_STREAM = 25
_LOG_EVERY = 20
_HELD_OUT_FIGURES = dict.fromkeys(("held_out__loss", "held_out__death_recall", "held_out__false_alarms_per_1000"), 0.0)
_COUNTERS = {
    **dict.fromkeys(("update", "epoch", "batch", "check"), 0),
    "seconds": 0.0,
    "before": _HELD_OUT_FIGURES,
    "after": _HELD_OUT_FIGURES,
}
_FORESIGHT = 8  # steps before a death from which a dream has to find it
_CHECKS = 10  # times that held-out sequences are looked at in a run


@dataclass(frozen=True)
class MDNRNNFigures:
    """Held-out figures before the first and after the last update."""

    loss_before: float
    loss_after: float
    death_recall: float
    """Share of held-out deaths given a probability above one half one step ahead."""
    false_alarms: float
    """Per 1,000 survived steps."""


def train_mdn_rnn(config: TrainMDNRNNConfig) -> MDNRNNFigures:
    """Train M and write its checkpoint; goes on where an interrupted training stopped."""
    with join_ranks() as ranks:
        device = choose_device(config.device)
        check_arithmetic(config, device, ranks)
        dataset = open_dataset(config.dataset, config.skip_damaged)
        saved_vae = load_vae(config.vae)
        if saved_vae.controls != dataset.controls:
            raise InputError(f"{config.vae}: expected a VAE for {dataset.controls}, found one for {saved_vae.controls}")
        inputs = {"dataset": dataset.fingerprint, "vae": saved_vae.fingerprint, "init": config.init}
        with Run("MDN-RNN", config, inputs, ranks) as run:
            return run.finished(MDNRNNFigures) or _train(config, dataset, saved_vae, device, run, ranks)


def _train(
    config: TrainMDNRNNConfig, dataset: Dataset, saved_vae: SavedVAE, device: torch.device, run: Run, ranks: Ranks
) -> MDNRNNFigures:
    train, held_out = dataset.split()
    torch.manual_seed(stream_seed(config.seed, _WEIGHTS_STREAM))
    network = _initial_network(config, saved_vae).to(device)
    network.lstm.requires_grad_(config.control != "untrained")
    with ranks.first_goes_first():
        episodes = encode_dataset(dataset, saved_vae.vae, saved_vae.fingerprint, device)
    pool = SequencePool([episodes[index] for index in train], device)
    held_out_pool = SequencePool([episodes[index] for index in held_out], device)
    seen, others = pool.episodes, held_out_pool.episodes
    del episodes  # of which the pools hold their own
    unseen = held_out_pool.in_order(config.sequence_length)
    # Of an episode's windows the first and the last are half as long as the others on average.
    windows = sum(0.5 + len(episode) / config.sequence_length for episode in seen)
    optimiser = adam(network, config.learning_rate)
    average = WeightAverage(network, config.average)
    rewards = torch.cat([episode.rewards for episode in seen])
    world_model = WorldModel(
        vae=saved_vae.vae.to(device),
        mdn_rnn=average.network,
        controls=dataset.controls,
        starts=draw_starts(
            seen,
            config.starts,
            config.warmup,
            stream(config.seed, _STARTS_STREAM),
            newest=sum(index >= len(dataset.episodes) - config.newest for index in train),
        ),
        reward_bounds=(float(rewards.min()), float(rewards.max())),
    )
    luck = torch_stream(config.seed, device, _LUCK_STREAM)
    importance = _importance(saved_vae.vae, config.landmark_weight, device)
    at = run.restore(_COUNTERS, network=network, adam=optimiser, luck=luck, **average.parts)
    if not at:
        fit_endings(network, seen, config.ending_epochs, config.input_noise, stream_seed(config.seed, _ENDINGS_STREAM))
        average.follow()
    update, first_epoch, number, check = (at.get(name, 0) for name in ("update", "epoch", "batch", "check"))
    updates = config.epochs * math.ceil(windows / config.batch_size)
    budget = Budget(updates, config.max_minutes, at.get("seconds", 0.0), ranks)
    losses = ranks.together(_Losses(network, config, luck, importance))
    with (
        run.tracker("mdn_rnn") as tracker,
        percent_progress("MDN-RNN", shown=ranks.first) as bar,
        stop_between_steps(),
    ):
        before = after = at["before"] if at else _held_out(average.network, unseen, config, importance)
        if at:
            after = at["after"]
        else:
            tracker.scalars(0, **before, cost__seconds=run.seconds)
        for epoch in range(first_epoch, config.epochs):
            rng = stream(config.seed, _BATCH_STREAM, epoch)
            for batch in pool.batches(config.sequence_length, config.batch_size, rng, skip=number):
                if budget.progress(update) >= 1.0:
                    break
                for group in optimiser.param_groups:
                    group["lr"] = config.learning_rate * (1.0 if config.average else budget.rate_scale(update))
                if config.control == "shuffled":
                    batch = dataclasses.replace(batch, actions=batch.actions.roll(1, dims=0))
                with compiling():
                    loss = losses(batch, ranks.share(len(batch.mask)))
                optimiser.zero_grad(set_to_none=True)
                loss.total.backward()
                where = f"MDN-RNN: step {update}, epoch {epoch}, batch {number}"
                norm = require_finite(loss.total, network.parameters(), where)
                torch.nn.utils.clip_grads_with_norm_(network.parameters(), config.gradient_clip, norm)
                optimiser.step()
                average.follow()
                update, number = update + 1, number + 1
                if update % _LOG_EVERY == 0:
                    tracker.scalars(
                        update,
                        train__loss=loss.total.item(),
                        train__latent=loss.latent.item(),
                        train__reward=loss.reward.item(),
                        train__ending=loss.ending.item(),
                        train__open_loop=loss.open_loop.item(),
                        cost__seconds=run.seconds,
                    )
                    bar.n = round(100 * budget.progress(update))
                    bar.set_postfix(
                        loss=f"{loss.total.item():.3f}",
                        held_out=f"{after['held_out__loss']:.3f}",
                        rate=f"{budget.per_second(update * config.batch_size * config.sequence_length):.0f} steps/s",
                    )
                if budget.progress(update) * _CHECKS >= check + 1:
                    check = int(budget.progress(update) * _CHECKS)
                    after = _held_out(average.network, unseen, config, importance)
                    foreseen = _foresight(world_model, others, config.seed)
                    tracker.scalars(update, **after, **foreseen, cost__seconds=run.seconds)
                    tracker.picture(update, "dream beside reality", _picture(world_model, dataset, held_out))
                counters = {"update": update, "epoch": epoch, "batch": number, "check": check}
                run.reached(update, {**counters, "seconds": budget.spent, "before": before, "after": after})
            number = 0
            if budget.progress(update) >= 1.0:
                break
    figures = MDNRNNFigures(
        before["held_out__loss"],
        after["held_out__loss"],
        after["held_out__death_recall"],
        after["held_out__false_alarms_per_1000"],
    )
    provenance = {
        "dataset": dataset.fingerprint,
        "real_steps": dataset.steps,
        "settings": to_plain(config),
        "updates": update,
        "held_out": dataclasses.asdict(figures),
    }
    if ranks.first:
        save_mdn_rnn(config.output, world_model, saved_vae.fingerprint, provenance)
    collected = hours(cost_of_data(dataset.path, dataset.fingerprint))
    run.finish(figures, torch.get_num_threads(), config.init, data=collected)
    return figures


class _Losses(nn.Module):
    """M and its loss as one module, which torch can train in several processes."""

    def __init__(
        self, network: MDNRNN, config: TrainMDNRNNConfig, luck: torch.Generator, importance: Tensor | None
    ) -> None:
        super().__init__()
        self.network, self._config, self._luck, self._importance = network, config, luck, importance

    def forward(self, batch: SequenceBatch, share: Share) -> MDNRNNLoss:
        """The loss of a share of a batch."""
        with reduced(self._config, batch.mask.device):
            return mdn_rnn_loss(self.network, batch, self._config, self._luck, self._importance, share)


def _initial_network(config: TrainMDNRNNConfig, saved_vae: SavedVAE) -> MDNRNN:
    if config.init is None:
        actions = len(ACTION_SETS[saved_vae.controls.actions])
        return MDNRNN(config.model, saved_vae.vae.config.latent_size, actions)
    network = load_mdn_rnn(config.init, saved_vae).train()
    heads = config.model.ending_heads
    return network.with_ending_heads(heads) if heads and not network.config.ending_heads else network


def _importance(vae: VAE, weight: float, device: torch.device) -> Tensor | None:
    """How much each number of a latent counts, (Z,); None where V was taught no landmarks and all count alike."""
    if not vae.config.landmarks:
        return None
    importance = torch.ones(vae.config.latent_size, device=device)
    importance[: len(LANDMARKS)] = weight
    return importance


@torch.no_grad()
def _held_out(
    network: MDNRNN, batch: SequenceBatch, config: TrainMDNRNNConfig, importance: Tensor | None
) -> dict[str, float]:
    """Figures over all held-out windows, a training batch's worth at a time."""
    # The same luck every time and no noise, so that the figures of all runs compare.
    config = dataclasses.replace(config, input_noise=0.0, beta_nll=0.0, compile=False)
    luck = torch_stream(config.seed, batch.mask.device, _HELD_OUT_STREAM)
    parts = []
    for first in range(0, len(batch.mask), config.batch_size):
        part = batch.part(slice(first, first + config.batch_size))
        parts.append(mdn_rnn_loss(network, part, config, luck, importance))
    steps = sum(part.steps.item() for part in parts)
    deaths = sum(part.deaths.item() for part in parts)

    def mean(name: str) -> float:
        return sum(float(getattr(part, name)) * part.steps.item() for part in parts) / steps

    return {
        "held_out__loss": mean("total"),
        "held_out__latent": mean("latent"),
        "held_out__reward": mean("reward"),
        "held_out__ending": mean("ending"),
        "held_out__open_loop": mean("open_loop"),
        "held_out__death_recall": sum(part.death_hits.item() for part in parts) / max(1.0, deaths),
        "held_out__false_alarms_per_1000": 1000 * sum(part.false_alarms.item() for part in parts) / (steps - deaths),
    }


def _foresight(world_model: WorldModel, episodes: Sequence[LatentEpisode], seed: int) -> dict[str, float]:
    """Probability of death in dreams that begin a while before a real one, on the likeliest path and sampled, and how
    far Mario is off after as many steps, where V was taught where he is: likelihoods do not say whether M can jump."""
    found = {}
    if world_model.vae.config.landmarks:
        errors = place_errors(world_model, episodes, _FORESIGHT, seed)
        found = {f"open_loop__error_{name}": error for name, error in errors.items()}
    for temperature in (0.0, 1.0):
        seen = open_loop(world_model, episodes, _FORESIGHT, temperature, seed, paths=1)
        if seen.death_late is not None:
            found[f"open_loop__death_at_{temperature:.0f}"] = seen.death_late
        if seen.survived is not None:
            found[f"open_loop__false_death_at_{temperature:.0f}"] = seen.survived
    return found


def _picture(world_model: WorldModel, dataset: Dataset, held_out: Sequence[int]) -> NDArray[np.uint8]:
    longest = max((dataset.episodes[index] for index in held_out), key=len)
    return filmstrip(world_model, longest)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(TrainMDNRNNConfig, _report, "mario-world-model train-mdn-rnn", arguments)


def _report(config: TrainMDNRNNConfig) -> None:
    figures = train_mdn_rnn(config)
    if not first_of_all():
        return
    print(
        f"{config.output}: held-out loss {figures.loss_before:.3f} → {figures.loss_after:.3f}; one step ahead "
        f"{figures.death_recall:.0%} of deaths seen, {figures.false_alarms:.1f} false alarms per 1,000 steps"
    )


if __name__ == "__main__":
    sys.exit(main())

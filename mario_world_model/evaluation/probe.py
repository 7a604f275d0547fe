"""Ask a world model what it knows and how far its dreams can be believed.

    python -m mario_world_model.evaluation.probe --dataset data/mario_rollouts.pkl \
        --vae checkpoints/vae_mario.pt --mdnrnn checkpoints/mdn_rnn_mario.pt

All figures are of held-out episodes, or with --own of a data set that nothing was trained on. With
--controller, whose evolution has left its path beside it, dreamt and real returns are compared as well, and
with both, where --own is what that controller played, how often it dies in dream and game.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mario_world_model.checkpoints import load_controller, load_controllers, load_vae, load_world_model
from mario_world_model.command import run_command
from mario_world_model.config import ProbeConfig, to_plain
from mario_world_model.evaluation.dream_against_reality import Agreement, agreement, one_path, with_strangers
from mario_world_model.evaluation.drift import Drift, drift
from mario_world_model.evaluation.foresight import OneStep, OpenLoop, one_step, open_loop
from mario_world_model.evaluation.mixture_spread import MixtureSpread, mixture_spread
from mario_world_model.evaluation.mortality import Mortality, mortality
from mario_world_model.evaluation.readout import Frames, Readout, fit_network, read_out, truths_of
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.dataset import Dataset, open_dataset
from mario_world_model.rollouts.latents import LatentEpisode, encode_dataset
from mario_world_model.training.fitness import DreamFitness, RealFitness
from mario_world_model.training.train_controller import path_file
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.devices import choose_device
from mario_world_model.utils.workers import WorkerPool

HORIZONS = (2, 4, 8, 12, 16)
_FITTED_FRAMES = 40_000  # to which readers are fitted
_STRANGERS = 8
_OPENING = 48  # steps


@dataclass(frozen=True)
class Probe:
    """Everything that was asked."""

    latents: list[Readout]
    """Read off z."""
    features: list[Readout]
    """Read off [z, h]."""
    one_step: OneStep | None
    open_loop: list[OpenLoop]
    drift: list[Drift]
    mixture: MixtureSpread
    agreement: Agreement | None
    mortality: list[Mortality]
    """Of the controller in its own episodes; empty without them."""


def probe(config: ProbeConfig) -> Probe:
    """Run every probe; `config.output` gets them as JSON."""
    device = choose_device(config.device)
    world_model, fingerprint = load_world_model(config.vae, config.mdnrnn)
    world_model = world_model.to(device)
    dataset = open_dataset(config.dataset, config.skip_damaged)
    train, held_out = dataset.split()
    latents = _encode(dataset, config, device)
    unseen = [dataset.episodes[number] for number in held_out]
    unseen_latents = [latents[number] for number in held_out]
    if config.own is not None:
        own = open_dataset(config.own, config.skip_damaged)
        unseen, unseen_latents = list(own.episodes), _encode(own, config, device)
    fitted = _some_frames(dataset, train, np.random.default_rng(config.seed))
    target = Frames(_features(world_model, unseen_latents), truths_of(unseen))
    source = Frames(
        _features(world_model, [latents[number] for number in fitted]),
        truths_of([dataset.episodes[number] for number in fitted]),
    )
    size = world_model.mdn_rnn.latent_size
    temperatures = tuple(dict.fromkeys((0.0, config.temperature)))
    died = any(episode.died for episode in unseen)
    readers = {
        name: fit_network(*Frames(source.features[:, :size], source.truths).showing(name), config.seed)
        for name in ("screen_x", "y")
    }
    found = Probe(
        latents=read_out(_only(source, size), _only(target, size), config.seed),
        features=read_out(source, target, config.seed),
        one_step=one_step(world_model, unseen_latents) if died else None,
        open_loop=[
            open_loop(world_model, unseen_latents, horizon, temperature, config.seed)
            for horizon in HORIZONS
            for temperature in temperatures
            if died
        ],
        drift=[
            one
            for temperature in temperatures
            for one in drift(world_model, unseen, unseen_latents, readers, temperature, config.seed)
        ],
        mixture=mixture_spread(world_model, unseen_latents),
        agreement=None if config.controller is None else _agreement(config, world_model, fingerprint),
        mortality=[]
        if config.controller is None or config.own is None
        else mortality(
            world_model,
            load_controller(config.controller, world_model, fingerprint).to(device),
            unseen,
            unseen_latents,
            config.dream,
            config.seed,
        ),
    )
    with written_whole(config.output) as temporary:
        temporary.write_text(json.dumps({"config": to_plain(config), **to_plain(found)}, indent=2) + "\n")
    return found


def _encode(dataset: Dataset, config: ProbeConfig, device: torch.device) -> list[LatentEpisode]:
    saved = load_vae(config.vae)
    return encode_dataset(dataset, saved.vae, saved.fingerprint, device)


def _some_frames(dataset: Dataset, episodes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Episodes, in random order, that together hold enough frames to fit readers to."""
    order = [episodes[number] for number in rng.permutation(len(episodes))]
    lengths = np.cumsum([len(dataset.episodes[number]) + 1 for number in order])
    return order[: int(np.searchsorted(lengths, _FITTED_FRAMES)) + 1]


@torch.no_grad()
def _features(world_model: WorldModel, episodes: Sequence[LatentEpisode]) -> Tensor:
    """What a controller sees in every frame, [z, h] (N, Z + H), on the CPU."""
    network, device = world_model.mdn_rnn, world_model.device
    features = []
    for episode in episodes:
        latents = episode.posterior.mean.to(device)
        memory = network.initial_memory(1)
        hidden, _ = network(latents[None, :-1], episode.actions[None].to(device), memory)
        features.append(world_model.features_of(latents, torch.cat([memory.hidden, hidden[0]])).cpu())
    return torch.cat(features)


def _only(frames: Frames, size: int) -> Frames:
    return Frames(frames.features[:, :size], frames.truths)


def _agreement(config: ProbeConfig, world_model: WorldModel, fingerprint: str) -> Agreement:
    assert config.controller is not None
    paths = [load_controllers(path_file(one), world_model) for one in config.earlier]
    paths.append(load_controllers(path_file(config.controller), world_model, fingerprint))
    controls = world_model.controls
    game = config.game.with_controls(controls.actions, controls.frame_skip)
    opening = dataclasses.replace(config.dream, horizon=_OPENING, level_starts=1.0)

    with WorkerPool(config.workers) as pool:

        def real(steps: int) -> RealFitness:
            return RealFitness(game, config.vae, config.mdnrnn, steps, pool)

        return agreement(
            with_strangers(one_path(paths), _STRANGERS, config.seed),
            DreamFitness(world_model, config.dream, death_cost=0.0),
            real(config.max_steps),
            DreamFitness(world_model, opening, death_cost=0.0),
            real(_OPENING),
            dreams=config.dreams,
            episodes=config.episodes,
            seed=config.seed,
        )


def describe_probe(found: Probe) -> str:
    """The probes as tables."""
    lines = ["read off          z: R² (error)      [z, h]: R² (error)"]
    for one, both in zip(found.latents, found.features, strict=True):
        name = f"{one.target}, {one.reader}"
        lines.append(f"{name:<18} {one.r2:5.2f} ({one.error:5.1f})     {both.r2:5.2f} ({both.error:5.1f})")
    if found.one_step is not None:
        step = found.one_step
        lines += [
            "",
            f"death one step ahead: recall {step.recall:.0%}, precision {step.precision:.0%}, "
            f"{step.false_alarms:.1f} false alarms per 1,000 steps, AUC {step.auc:.4f} ({step.deaths} deaths)",
            "death in dreams fed the real actions: by its step (up to 4 late) | where Mario survived",
        ]
    lines += [
        f"  {one.horizon:2d} steps before, temperature {one.temperature:.2f}: "
        f"{_said(one.death, '4.0%')} ({_said(one.death_late, '4.0%')}) | {_said(one.survived, '.1%')}"
        for one in found.open_loop
    ]
    if found.drift:
        lines += ["", "drift: PSNR of the dream (of V alone); error of Mario's place in pixels (read off real latents)"]
    lines += [
        f"  {one.horizon:2d} steps, temperature {one.temperature:.2f}: "
        f"{one.psnr:.1f} ({one.psnr_reconstruction:.1f}) dB; "
        + ", ".join(f"{name} {one.errors[name]:.0f} ({one.errors_reconstruction[name]:.0f})" for name in one.errors)
        for one in found.drift
    ]
    if found.agreement is not None:
        lines += [
            "",
            f"dreamt and real returns of {len(found.agreement.real)} controllers: Spearman "
            f"{_said(found.agreement.spearman, '.2f')}; over the first {_OPENING} steps the dream promises "
            f"{found.agreement.gap:+.0f} more than the game gives",
        ]
    if found.mortality:
        lines += ["", "chance to die within a dream's length, from situations of its own episodes: dreamt | real"]
    lines += [
        f"  x {one.first:4d} to {one.last:4d}: {one.dreamt:4.0%} | {one.real:4.0%} ({one.situations} situations)"
        for one in found.mortality
    ]
    return "\n".join(lines)


def _said(figure: float | None, form: str) -> str:
    return "–" if figure is None else format(figure, form)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(ProbeConfig, _report, "mario-world-model probe", arguments)


def _report(config: ProbeConfig) -> None:
    print(describe_probe(probe(config)))


if __name__ == "__main__":
    sys.exit(main())

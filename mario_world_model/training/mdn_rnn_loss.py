"""What the MDN-RNN is trained to do, and how well it does it on sequences it has not seen."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mario_world_model.config import TrainMDNRNNConfig
from mario_world_model.models.mdn_rnn import DEATH, MDNRNN, REWARD_UNIT, Prediction
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import Mixture, MixtureNoise, draw_noise
from mario_world_model.models.precision import KERNEL_ROWS
from mario_world_model.models.share import WHOLE, Share
from mario_world_model.rollouts.sequences import SequenceBatch


@dataclass(frozen=True)
class MDNRNNLoss:
    """Means over the real steps of a batch; `total` is what is minimised."""

    total: Tensor
    latent: Tensor
    """Negative log likelihood of the next latent, nats per latent number, or its β-NLL."""
    reward: Tensor
    """Squared error in units of a frame's largest reward."""
    ending: Tensor
    """Cross entropy of death and flag in M's own word, nats."""
    open_loop: Tensor
    """What the steps on M's own samples add to `total`, before their weight."""
    death_hits: Tensor
    """Deaths that were given a probability above one half one step ahead."""
    deaths: Tensor
    false_alarms: Tensor
    """Survived steps with a probability of death above one half."""
    steps: Tensor


@dataclass(frozen=True)
class _Targets:
    """What B sequences of T steps were, (B, T, …), or some of their steps, (N, …)."""

    latents: Tensor
    blur: Tensor | None
    rewards: Tensor
    endings: Tensor
    mask: Tensor
    importance: Tensor | None
    """(Z,)."""
    steps: Tensor
    """Real steps of the whole batch, of which these may be a share, (B, T)."""
    shares: int

    def part(self, steps: slice) -> _Targets:
        blur = None if self.blur is None else self.blur[:, steps]
        rewards, endings, mask = (whole[:, steps] for whole in (self.rewards, self.endings, self.mask))
        everyone = self.steps[:, steps]
        return _Targets(self.latents[:, steps], blur, rewards, endings, mask, self.importance, everyone, self.shares)

    def at(self, rows: Tensor) -> _Targets:
        """Steps int64 (N,) of all B·T."""
        blur = None if self.blur is None else _steps(self.blur, rows)
        latents, rewards, endings, mask = (
            _steps(whole, rows) for whole in (self.latents, self.rewards, self.endings, self.mask)
        )
        return _Targets(latents, blur, rewards, endings, mask, self.importance, self.steps, self.shares)


@dataclass(frozen=True)
class _StepLosses:
    """Losses of single steps, (N,) or (B, T)."""

    latent: Tensor
    reward: Tensor
    ending: Tensor

    def total(self, targets: _Targets, config: TrainMDNRNNConfig) -> Tensor:
        """Mean over the real steps, deaths weighted: one step in a hundred, and what a controller has to learn from.

        The mean of all shares' totals is that of the whole batch.
        """
        ended = targets.endings.amax(dim=-1)
        weight = targets.mask * (1.0 + (config.death_weight - 1.0) * ended)
        values = self.latent + config.reward_weight * self.reward + config.ending_weight * self.ending
        return (values * weight).sum() * targets.shares / targets.steps.sum().clamp(min=1.0)


def mdn_rnn_loss(
    network: MDNRNN,
    batch: SequenceBatch,
    config: TrainMDNRNNConfig,
    luck: torch.Generator,
    importance: Tensor | None = None,
    share: Share = WHOLE,
) -> MDNRNNLoss:
    """Run M over a batch of sequences from an empty memory, and over a part of them on its own samples.

    `importance` (Z,) is how much each number of a latent counts; all alike if it is not given.

    `luck` draws the samples, and where that part begins: anywhere, since a memory that can tell its own
    samples from the truth would else learn after how many of them sequences tend to end. With `share`, the loss is that
    of some rows; luck is drawn for all of them, so that it does not depend on who computes what.
    """
    if config.targets == "samples":
        noise = torch.randn(batch.posterior.mean.shape, generator=luck, device=luck.device)
        latents, blur = batch.posterior.sample(noise), None
    else:
        latents, blur = batch.posterior.mean, batch.posterior.log_variance[:, 1:]
    truth = latents[:, 1:]
    if config.input_noise:
        latents = _noisy(latents, batch.mask, config.input_noise, luck)
    everyone, rows = batch.mask, share.rows
    batch, latents = batch.part(rows), latents[rows]
    targets = _Targets(
        latents=truth[rows],
        blur=None if blur is None else blur[rows],
        rewards=batch.rewards,
        endings=batch.endings,
        mask=batch.mask,
        importance=importance,
        steps=everyone,
        shares=share.count,
    )
    length = batch.actions.shape[1]
    read = int(torch.randint(1, length, (), generator=luck, device=luck.device)) if config.open_loop else length
    own = slice(read, min(length, read + config.open_loop))
    hidden, memory = network(latents[:, :read], batch.actions[:, :read], network.initial_memory(len(latents)))
    if read < length:
        rest, _ = network(latents[:, read:-1], batch.actions[:, read:], memory)
        hidden = torch.cat([hidden, rest], dim=1)
    judge = _compiled_judge() if config.compile else _judged
    counted = _counted(batch.mask, config)
    judged = targets.at(counted)
    prediction, closed = judge(network, _steps(hidden, counted), _steps(latents[:, :-1], counted), judged, config)
    total = closed.total(judged, config)
    open_loop = total.new_zeros(())
    if read < length:
        steer = config.open_loop_teaches == "all"
        draws = _Draws(luck, len(everyone), rows)
        imagined = _imagine(network, latents[:, read], batch.actions[:, own], memory, draws, steer)
        # The spread is what one step from the truth leaves open. Fitted to steps that began off the truth it
        # would grow with every step of a dream, and a dream with it into noise.
        after = targets.part(own)
        losses = _step_losses(imagined, imagined.latent.with_fixed_spread(), after, config)
        if not steer:
            losses = dataclasses.replace(losses, latent=torch.zeros_like(losses.latent))
        open_loop = losses.total(after, config)
        total = total + config.open_loop_weight * open_loop
    steps = batch.mask.sum()
    with torch.no_grad():
        alarm = (prediction.ending_logits[..., DEATH] > 0) * judged.mask
        death = judged.endings[..., DEATH]
        return MDNRNNLoss(
            total=total,
            latent=(closed.latent.detach() * judged.mask).sum() / steps,
            reward=(closed.reward.detach() * judged.mask).sum() / steps,
            ending=(closed.ending.detach() * judged.mask).sum() / steps,
            open_loop=open_loop.detach(),
            death_hits=(alarm * death).sum(),
            deaths=death.sum(),
            false_alarms=(alarm * (1.0 - death)).sum(),
            steps=steps,
        )


def _counted(mask: Tensor, config: TrainMDNRNNConfig) -> Tensor:
    """Steps int64 (N,) of the B·T of a `mask` that are worth judging: the real ones, and a few more for a round number.

    Of exploration's short episodes a third of a batch is padding, and the head is two thirds of an update's products. A
    GPU would wait to be told how many there are for longer than that takes it, and what is compiled is compiled for a
    number of steps: all are judged there.
    """
    flat = mask.flatten()
    if config.compile or flat.device.type != "cpu":
        return torch.arange(len(flat), device=flat.device)
    real = int(flat.sum())
    return flat.argsort(descending=True, stable=True)[: real + -real % KERNEL_ROWS]


def _steps(whole: Tensor, rows: Tensor) -> Tensor:
    """Rows int64 (N,) of the B·T of a tensor (B, T, …)."""
    return whole.flatten(0, 1).index_select(0, rows)


def _noisy(latents: Tensor, mask: Tensor, largest: float, luck: torch.Generator) -> Tensor:
    """Latents (B, T + 1, Z) plus Gaussian noise, its deviation drawn for each sequence from 0 to `largest` changes.

    A number's typical change is the deviation of what it changes by in a step, over the steps of `mask` (B, T): what M
    reads in a dream is its own samples, whose errors are a share of that, while numbers differ a hundredfold in how
    finely V knows them. M has to expect the true latent after a wrong one. Noise teaches that without a second pass
    (Valevski et al. 2024, section 3.2.1).
    """
    changes = (latents[:, 1:] - latents[:, :-1]).square() * mask.unsqueeze(-1)
    typical = (changes.sum(dim=(0, 1)) / mask.sum().clamp(min=1.0)).sqrt()
    deviation = largest * torch.rand((len(latents), 1, 1), generator=luck, device=latents.device)
    return latents + deviation * typical * torch.randn(latents.shape, generator=luck, device=latents.device)


def _judged(
    network: MDNRNN, hidden: Tensor, latents: Tensor, targets: _Targets, config: TrainMDNRNNConfig
) -> tuple[Prediction, _StepLosses]:
    """What M expects after hidden states (N, H), and how wrong that is: what torch can compile of a loss, that is all
    but LSTM and luck."""
    prediction = network.predict(hidden, latents)
    return prediction, _step_losses(prediction, prediction.latent, targets, config)


@functools.cache
def _compiled_judge() -> Callable[..., tuple[Prediction, _StepLosses]]:
    return torch.compile(_judged)


def _step_losses(prediction: Prediction, mixture: Mixture, targets: _Targets, config: TrainMDNRNNConfig) -> _StepLosses:
    # Endings weigh more in the loss than they are frequent; the odds that minimise it are as much too high. With
    # the weight given to the loss beforehand, what M itself says stays calibrated.
    # It learns from its own word, not from the mean with that of the ending heads: where they say one half and it says
    # nothing yet, the mean's likelihood hardly changes with what it says, and it has learnt nothing in 4,000 updates.
    logits = prediction.own_ending_logits + math.log(config.death_weight)
    return _StepLosses(
        latent=-mixture.log_prob(targets.latents, targets.blur, targets.importance, config.beta_nll)
        / targets.latents.shape[-1],
        reward=((prediction.reward - targets.rewards) / REWARD_UNIT).square(),
        ending=functional.binary_cross_entropy_with_logits(logits, targets.endings, reduction="none").sum(-1),
    )


@dataclass(frozen=True)
class _Draws:
    """Luck for all rows of a batch, and which of them are meant."""

    luck: torch.Generator
    total: int
    rows: slice

    def noise(self, network: MDNRNN) -> MixtureNoise:
        mixtures, choices = network.config.mixtures, network.choices
        drawn = draw_noise((self.total,), mixtures, choices, network.latent_size, self.luck)
        return MixtureNoise(drawn.gumbel[self.rows], drawn.normal[self.rows])


def _imagine(
    network: MDNRNN, latents: Tensor, actions: Tensor, memory: Memory, draws: _Draws, steer: bool
) -> Prediction:
    """Predictions (B, T) for real actions (B, T) on the latents that M samples, from latents (B, Z) on.

    With `steer`, gradients flow back through the means of the samples, so that M learns to steer back to what is real.
    """
    predictions = []
    for step in range(actions.shape[1]):
        hidden, memory = network(latents.unsqueeze(1), actions[:, step : step + 1], memory)
        predictions.append(network.predict(hidden.squeeze(1), latents))
        latents = predictions[-1].latent.with_fixed_spread().sample(draws.noise(network), temperature=1.0)
        if not steer:
            latents = latents.detach()
    mixture = Mixture(
        *(
            torch.stack([getattr(one.latent, part) for one in predictions], dim=1)
            for part in ("log_pi", "mean", "log_sigma")
        )
    )
    rewards, endings, own = (
        torch.stack([getattr(one, part) for one in predictions], dim=1)
        for part in ("reward", "ending_logits", "own_ending_logits")
    )
    return Prediction(mixture, rewards, endings, own)

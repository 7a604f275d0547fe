"""The memory model M: an LSTM that predicts the next latent, the reward and how an episode ends."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_world_model.config import MDNRNNConfig
from mario_world_model.models.ending_heads import EndingHeads, mean_odds
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import Mixture, MixtureNoise, choose_component, sample_gaussian
from mario_world_model.models.precision import full_precision

# Rewards are predicted in units of the largest a frame can give, so that the loss is of order one.
REWARD_UNIT = 15.0
DEATH, FLAG = 0, 1
ENDINGS = 2
# Latents have unit variance: a narrower Gaussian is a point, a wider one says nothing.
_LOG_SIGMA_BOUNDS = (-5.0, 1.5)
# Raw means outside this range arise only from inputs far off the data; bounding them keeps squares finite.
_MEAN_BOUND = 1e3
# The same for latents: beyond it products with the weights overflow, and infinities of both signs add up to no number.
_LATENT_BOUND = 1e6
# Changes of a step are some times smaller than latents are. An LSTM given latents alone has to subtract, between gates
# that saturate, what differs by a hundredth, and M did not know how fast Mario rises.
_CHANGE_SCALE = 2.0
# Rows up to which torch's single step is used: 83 against 252 µs at one row, 0.5 against 2.2 ms at 12 on a
# busy core, but 18 against 16 ms at 1,536.
_FEW_ROWS = 32
# Logit of the gate before training: most of a picture stays as it is for a step.
_FIRST_GATE = 2.0


@dataclass(frozen=True)
class Prediction:
    """What M expects of the next step, for every step that it was given."""

    latent: Mixture
    """Next latent, leading shape (B, T)."""
    reward: Tensor
    """Reward of the step, (B, T), in the environment's units."""
    ending_logits: Tensor
    """Log odds that the step ends in death [..., 0] or at the flag [..., 1], (B, T, 2)."""
    own_ending_logits: Tensor
    """The same as M's own head says it, without the ending heads; on these it is trained."""


@dataclass(frozen=True)
class Imagined:
    """One sampled step of B dreams."""

    latents: Tensor
    """Next latents, (B, Z)."""
    reward: Tensor
    """(B,), in the environment's units."""
    ending_logits: Tensor
    """(B, 2), as in `Prediction`."""


class MDNRNN(nn.Module):
    """A recurrent memory with a mixture density head; the one implementation of a recurrent step.

    Training runs `forward` over whole sequences, dream and agent over sequences of one step.
    """

    def __init__(self, config: MDNRNNConfig, latent_size: int, actions: int) -> None:
        super().__init__()
        self.config = config
        self.latent_size = latent_size
        self.actions = actions
        self.choices = 1 if config.joint else latent_size
        changes = latent_size if config.reads_change else 0
        self.hidden_size = config.hidden_size + (changes + actions if changes else 0)
        """H: the LSTM's units, and behind them the change of the latent and the action, where M reads changes."""
        self.lstm = nn.LSTM(latent_size + changes + actions, config.hidden_size, batch_first=True)
        self.head: HiddenHead | None = None
        width = self.hidden_size
        if config.head_size:
            self.head = HiddenHead(self.hidden_size + latent_size, config.head_size)
            width = config.head_size
        self.mixture_head = nn.Linear(width, config.mixtures * self._rows)
        self.gate_head = nn.Linear(width, latent_size) if config.anchor == "gate" else None
        self.step_head = nn.Linear(width, 1 + ENDINGS)
        self.ending_heads: EndingHeads | None = None
        if config.ending_heads:
            self.ending_heads = EndingHeads(latent_size + changes + actions, config.ending_heads, ENDINGS)

    def with_ending_heads(self, count: int) -> MDNRNN:
        """The same network with so many ending heads, yet to be fitted."""
        config = dataclasses.replace(self.config, ending_heads=count)
        other = MDNRNN(config, self.latent_size, self.actions).to(self.step_head.weight.device)
        kept = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("ending_heads.")}
        other.load_state_dict(kept, strict=False)
        return other.train(self.training)

    def in_bfloat16(self) -> MDNRNN:
        """A copy to dream in, whose heads multiply in bfloat16. The LSTM, the latents that means start from and all
        densities keep float32."""
        other = copy.deepcopy(self)
        for head in (other.head, other.mixture_head, other.gate_head, other.step_head):
            if head is not None:
                head.bfloat16()
        if other.ending_heads is not None:
            other.ending_heads.members.bfloat16()
        return other

    def initial_memory(self, batch: int) -> Memory:
        """The empty memory with which an episode begins.

        Where M reads changes, the latent it read last is kept behind the LSTM's cells, and 1 behind that if there
        is one: Z + 1 numbers more.
        """
        units, kept = self.config.hidden_size, (self.latent_size + 1 if self.config.reads_change else 0)
        zeros = next(self.lstm.parameters()).new_zeros(batch, self.hidden_size + units + kept)
        return Memory(*zeros.split([self.hidden_size, units + kept], dim=1))

    def forward(self, latents: Tensor, actions: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Read latents (B, T, Z) and the actions taken in them, int64 (B, T), after `memory`.

        Returns the hidden states (B, T, H) and the memory after the last step.
        """
        bounded = latents.clamp(-_LATENT_BOUND, _LATENT_BOUND)
        units = self.config.hidden_size
        cell, before = memory.cell.tensor_split([units], dim=1)
        recent = self.recent(bounded, actions, memory)
        # An LSTM adds up small changes over many steps, and cuDNN's has no bfloat16 under autocast but float16.
        with full_precision(bounded):
            hidden, cell = self._recur(torch.cat([bounded, recent], dim=-1), memory.hidden[:, :units], cell)
        if not self.config.reads_change:
            return hidden, Memory(hidden[:, -1], cell)
        hidden = torch.cat([hidden, recent], dim=-1)
        kept = torch.cat([cell, bounded[:, -1], torch.ones_like(before[:, -1:])], dim=1)
        return hidden, Memory(hidden[:, -1], kept)

    def recent(self, latents: Tensor, actions: Tensor, memory: Memory) -> Tensor:
        """What M reads beside latents (B, T, Z), (B, T, R): how they changed, if it reads that, and the actions."""
        one_hot = functional.one_hot(actions, self.actions).to(latents.dtype)
        if not self.config.reads_change:
            return one_hot
        before = memory.cell[:, self.config.hidden_size :]
        return torch.cat([_CHANGE_SCALE * _changes(latents, before), one_hot], dim=-1)

    def predict(self, hidden: Tensor, latents: Tensor) -> Prediction:
        """Predictions from hidden states (..., H) for the steps taken in latents (..., Z).

        `latents` anchor the means (config.anchor): it is in `_gaussian`, and nowhere
        else, that a change becomes a latent.
        """
        seen, hidden = hidden, self._read(hidden, latents)
        raw = _outputs(self.mixture_head, hidden).unflatten(-1, (self.config.mixtures, self._rows))
        logits, gaussians = raw.split([self.choices, 2 * self.latent_size], dim=-1)
        anchor = self._anchor(hidden, latents)
        mean, log_sigma = self._gaussian(gaussians, None if anchor is None else anchor.unsqueeze(-2))
        mixture = Mixture(functional.log_softmax(logits, dim=-2), mean, log_sigma)
        return Prediction(mixture, *self._reward_and_endings(hidden, seen, latents))

    def imagine(self, hidden: Tensor, latents: Tensor, noise: MixtureNoise, temperature: float) -> Imagined:
        """Sample the step after hidden states (B, H) in latents (B, Z).

        The same as sampling from `predict`, but a joint mixture's component is drawn first and the
        others are never computed, which spares most of the head's products.
        """
        if not self.config.joint:
            prediction = self.predict(hidden, latents)
            sample = prediction.latent.sample(noise, temperature)
            return Imagined(sample, prediction.reward, prediction.ending_logits)
        seen, hidden = hidden, self._read(hidden, latents)
        weight = self.mixture_head.weight.view(self.config.mixtures, self._rows, -1)
        bias = self.mixture_head.bias.view(self.config.mixtures, self._rows)
        log_pi = functional.log_softmax(_all_bits(hidden @ weight[:, 0].T + bias[:, 0]), dim=-1)
        component = choose_component(log_pi.unsqueeze(-1), noise, temperature).flatten()
        raw = latents.new_empty(len(hidden), 2 * self.latent_size)
        for number in range(self.config.mixtures):
            rows = (component == number).nonzero().squeeze(-1)
            raw[rows] = torch.addmm(bias[number, 1:], hidden[rows], weight[number, 1:].T).to(raw.dtype)
        sample = sample_gaussian(*self._gaussian(raw, self._anchor(hidden, latents)), noise, temperature)
        reward, endings, _ = self._reward_and_endings(hidden, seen, latents)
        return Imagined(sample, reward, endings)

    def _recur(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM over inputs (B, T, I) from its state (B, U), (B, U): hidden states (B, T, U) and cells after.

        torch runs sequences in a kernel that packs all weights anew in every call, which is most of its time where
        one agent or player takes one step. The same weights then go through torch's single step.
        """
        if inputs.shape[1] == 1 and len(inputs) <= _FEW_ROWS:
            hidden, cell = torch.lstm_cell(inputs[:, 0], (hidden, cell), *self.lstm.all_weights[0])
            return hidden.unsqueeze(1), cell
        state = (hidden.unsqueeze(0).contiguous(), cell.unsqueeze(0).contiguous())
        after, (_, cells) = self.lstm(inputs, state)
        return after, cells.squeeze(0)

    @property
    def _rows(self) -> int:
        """Numbers that the head gives for one component: its weight, means and deviations."""
        return self.choices + 2 * self.latent_size

    def _read(self, hidden: Tensor, latents: Tensor) -> Tensor:
        """What the output layers are linear in, (..., W): hidden states, or what the head makes of them."""
        if self.head is None:
            return hidden.to(self.mixture_head.weight.dtype)
        read: Tensor = self.head(hidden, latents.clamp(-_LATENT_BOUND, _LATENT_BOUND))
        return read

    def _anchor(self, hidden: Tensor, latents: Tensor) -> Tensor | None:
        """What of the present latents (..., Z) the means start from.

        Noise that a dream has put into a latent stays there for good when changes are predicted, and
        adds up step by step; a gate below 1 lets it fade, as the gain of a Kalman filter does.
        """
        latents = latents.clamp(-_LATENT_BOUND, _LATENT_BOUND)
        if self.gate_head is not None:
            return torch.sigmoid(_outputs(self.gate_head, hidden) + _FIRST_GATE) * latents
        return latents if self.config.anchor == "present" else None

    def _gaussian(self, raw: Tensor, anchor: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means and log deviations (..., Z) from what the head gives (..., 2·Z)."""
        raw_mean, raw_sigma = raw.split(self.latent_size, dim=-1)
        mean = raw_mean.clamp(-_MEAN_BOUND, _MEAN_BOUND)
        if anchor is not None:
            mean = mean + anchor
        low, high = _LOG_SIGMA_BOUNDS
        return mean, low + (high - low) * torch.sigmoid(raw_sigma)

    def _reward_and_endings(self, read: Tensor, hidden: Tensor, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reward (...) and log odds (..., 2), as M says them and as its own head does.

        They come from what the output layers read, and from what that was read in.
        """
        step = _outputs(self.step_head, read)
        said = own = step[..., 1:]
        if self.ending_heads is not None:
            # They are fitted apart, so that nothing is to be learnt through them.
            inputs = self.ending_inputs(latents, hidden[..., self.config.hidden_size :]).detach()
            said = mean_odds(torch.stack([own, self.ending_heads(inputs).to(own.dtype)]))
        return step[..., 0] * REWARD_UNIT, said, own

    def ending_inputs(self, latents: Tensor, recent: Tensor) -> Tensor:
        """What the ending heads see of latents (..., Z) and what is `recent` (..., R)."""
        return torch.cat([latents.clamp(-_LATENT_BOUND, _LATENT_BOUND), recent], dim=-1)


def _outputs(head: nn.Linear, hidden: Tensor) -> Tensor:
    """What a head says, in all bits."""
    return _all_bits(head(hidden))


def _all_bits(said: Tensor) -> Tensor:
    """In float32 at least, whatever was multiplied in: densities take all bits."""
    return said.to(torch.promote_types(said.dtype, torch.float32))


def _changes(latents: Tensor, before: Tensor) -> Tensor:
    """What every latent (B, T, Z) differs by from the one before it; `before` (B, Z + 1) is the latent before the first
    and 1, or zeros where there is none and nothing has changed."""
    previous, known = before.split([latents.shape[-1], 1], dim=1)
    first = known * (latents[:, 0] - previous)
    return torch.cat([first.unsqueeze(1), latents[:, 1:] - latents[:, :-1]], dim=1)


class HiddenHead(nn.Module):
    """Layers between the LSTM and the outputs that see the present latent beside the hidden state.

    Without them all that M expects of a picture has to pass through the hidden state and one linear map,
    while scrolling and jumping are anything but linear in a latent: Mario is then blurred within a step.
    One residual block in the pre-normalised form of He et al. 2016 with the normalisation of Ba et al. 2016.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.block = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.leave = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, latents: Tensor) -> Tensor:
        """Hidden states (..., H) and latents (..., Z) to (..., W)."""
        entered = self.enter(torch.cat([hidden, latents], dim=-1).to(self.enter.weight.dtype))
        read: Tensor = self.leave(entered + self.block(entered))
        return read

"""One dream, a step at a time; its whole state is a value that can be kept and gone back to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.models.mdn_rnn import DEATH, FLAG
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import draw_noise
from mario_world_model.models.world_model import WorldModel
from mario_world_model.utils.seeding import torch_stream

End = Literal["death", "flag"]
_NOISE: Final = 0
_CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class DreamState:
    """Where a dream is."""

    latents: Tensor
    """(1, Z)."""
    memory: Memory
    """(1, S)."""
    end: End | None = None
    """How it ended, if it did; an ended dream stays as it is."""


@dataclass(frozen=True)
class Dreamt:
    """What M promised for a step."""

    reward: float
    death: float
    """Probability that the step ends in death."""
    flag: float


@torch.inference_mode()
def dream_on(
    world_model: WorldModel, state: DreamState, action: int, temperature: float, seed: int, step: int
) -> tuple[DreamState, Dreamt]:
    """Take an action in a dream.

    All chance comes from (`seed`, `step`): the same actions dream the same dream again, and another action in
    the same place meets the same luck.
    """
    network = world_model.mdn_rnn
    luck = torch_stream(seed, _CPU, _NOISE, step)
    noise = draw_noise((1,), network.config.mixtures, network.choices, network.latent_size, luck)
    imagined, memory = world_model.imagine(state.latents, torch.tensor([action]), state.memory, noise, temperature)
    odds = torch.sigmoid(imagined.ending_logits)[0].tolist()
    lives = 1.0 - min(1.0, sum(odds))
    end: End | None = None
    if float(torch.rand((), generator=luck)) >= lives:
        end = "death" if odds[DEATH] >= odds[FLAG] else "flag"
    reward = float(imagined.reward.clamp(*world_model.reward_bounds))
    return DreamState(imagined.latents, memory, end), Dreamt(reward, odds[DEATH], odds[FLAG])


@torch.inference_mode()
def see(world_model: WorldModel, latents: Tensor) -> NDArray[np.uint8]:
    """The picture, uint8 (64, 64, 3), of latents (1, Z)."""
    picture: NDArray[np.uint8] = world_model.decode(latents)[0].numpy()
    return picture


@torch.inference_mode()
def recollect(world_model: WorldModel, frames: NDArray[np.uint8], actions: NDArray[np.integer]) -> DreamState:
    """The state that W + 1 real frames (W + 1, 64, 64, 3), with the W actions between them, leave in V and M."""
    latents = world_model.encode(torch.from_numpy(np.ascontiguousarray(frames)))
    memory = world_model.mdn_rnn.initial_memory(1)
    for step, action in enumerate(actions):
        memory = world_model.remember(latents[step : step + 1], torch.tensor([int(action)]), memory)
    return DreamState(latents[-1:], memory)


@torch.inference_mode()
def notice(world_model: WorldModel, state: DreamState, action: int, frame: NDArray[np.uint8]) -> DreamState:
    """The state after a real step: M remembers the action, V sees the frame uint8 (64, 64, 3) that followed."""
    memory = world_model.remember(state.latents, torch.tensor([action]), state.memory)
    latents = world_model.encode(torch.from_numpy(np.ascontiguousarray(frame)).unsqueeze(0))
    return DreamState(latents, memory)


@torch.inference_mode()
def situation(world_model: WorldModel, number: int) -> DreamState:
    """Where one of the dreams begins that M was saved with; 0 ≤ number < len(starts)."""
    every = world_model.starts
    one = dataclasses.replace(
        every,
        latents=every.latents[number : number + 1],
        actions=every.actions[number : number + 1],
        lengths=every.lengths[number : number + 1],
    )
    return DreamState(*world_model.recall(one))


def with_latent(state: DreamState, index: int, value: float) -> DreamState:
    """The same state with one number of its latent changed."""
    latents = state.latents.clone()
    latents[0, index] = value
    return dataclasses.replace(state, latents=latents, end=None)

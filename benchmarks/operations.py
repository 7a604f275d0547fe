"""What a unit of every stage's work must at least do, from the shapes of the networks."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.ceilings import product_shapes
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import FRAME_SIZE, VAE, to_frames
from mario_world_model.rollouts.frames import FrameBatch

_FLOAT = 4
# Adam reads and writes a weight and its two moments and reads its gradient; the passes read the weight twice and write
# the gradient once.
_TOUCHES_OF_A_WEIGHT = 10

DREAM_FORMULA = (
    "2·Σ inputs·outputs of its products; bytes: weights once a step of all dreams, a dream's state in and out"
)
MDN_RNN_FORMULA = (
    "3 × forward (once forward, twice backward), all K components; bytes: latents in, 10 × weights an update"
)
PLAY_FORMULA = (
    "a dream's step without a controller, and V's decoder; bytes: the weights of both, a dream's state in and out, "
    "a picture"
)
VAE_FORMULA = "counted by torch over one update; bytes: a frame in, 10 × weights an update"


def dream_step(network: MDNRNN, actions: int, dreams: int) -> tuple[float, float]:
    """Operations and bytes of a dreamt step, of `dreams` that are dreamt together."""
    features = network.latent_size + network.hidden_size
    operations = 2.0 * (sum(inputs * outputs for inputs, outputs in product_shapes(network)) + features * actions)
    memory = network.initial_memory(1)
    state = network.latent_size + memory.hidden.shape[1] + memory.cell.shape[1]
    return operations, _FLOAT * (2 * state + parameters(network) / dreams)


def remembered_step(network: MDNRNN) -> float:
    """Operations of a real step that fills the memory before a dream: the LSTM alone."""
    inputs, outputs = product_shapes(network)[0]
    return 2.0 * inputs * outputs


def mdn_rnn_step(network: MDNRNN, steps: int) -> tuple[float, float]:
    """Operations and bytes of a step of a training sequence, of `steps` in a batch."""
    others = (network.mixture_head.out_features - network.config.mixtures - 2 * network.latent_size) * (
        network.mixture_head.in_features
    )
    forward = 2.0 * (sum(inputs * outputs for inputs, outputs in product_shapes(network)) + others)
    weights = _TOUCHES_OF_A_WEIGHT * parameters(network) / steps
    return 3.0 * forward, _FLOAT * (2 * network.latent_size + weights)


def vae_image(vae: VAE, batch: FrameBatch) -> tuple[float, float]:
    """Operations and bytes of an image of a training batch."""
    with FlopCounterMode(display=False) as counter:
        vae.loss(batch.frames).total.backward()
    vae.zero_grad()
    frame = batch.frames[0].numel()
    weights = _FLOAT * _TOUCHES_OF_A_WEIGHT * parameters(vae)
    return counter.get_total_flops() / len(batch), frame + weights / len(batch)


def encoded_image(vae: VAE) -> float:
    """Operations of encoding an image."""
    frame = torch.zeros(1, FRAME_SIZE, FRAME_SIZE, 3, dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.encode(frame)
    return float(counter.get_total_flops())


def decoded_image(vae: VAE) -> tuple[float, float]:
    """Operations and bytes of painting one picture by itself."""
    latents = torch.zeros(1, vae.config.latent_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        picture = to_frames(vae.decode(latents))
    return float(counter.get_total_flops()), _FLOAT * parameters(vae.decoder) + picture.numel()


def parameters(network: nn.Module) -> int:
    """Numbers in a network."""
    return sum(parameter.numel() for parameter in network.parameters())

"""Training of M: latents that were encoded once, beside encoding the frames of every batch."""

from __future__ import annotations

import torch

from benchmarks.bench import Bench
from benchmarks.figures import Work, ratio
from benchmarks.operations import MDN_RNN_FORMULA, encoded_image, mdn_rnn_step
from benchmarks.paired import compare
from mario_world_model.config import MDNRNNConfig, TrainMDNRNNConfig, VAEConfig
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.sequences import SequenceBatch
from mario_world_model.training.adam import adam
from mario_world_model.training.mdn_rnn_loss import mdn_rnn_loss

_ACTIONS = len(ACTION_SETS["SIMPLE_MOVEMENT"])


def measure_memory_model(bench: Bench) -> None:
    config = TrainMDNRNNConfig()
    batch, length = config.batch_size, config.sequence_length
    vae, network = VAE(VAEConfig()).eval(), MDNRNN(MDNRNNConfig(), VAEConfig().latent_size, _ACTIONS)
    optimiser = adam(network, config.learning_rate)
    luck = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (batch * (length + 1), 64, 64, 3), dtype=torch.uint8)

    def encode() -> Posterior:
        with torch.no_grad():
            posterior = vae.encode(frames)
        shape = (batch, length + 1, -1)
        return Posterior(posterior.mean.view(shape), posterior.log_variance.view(shape))

    def update(posterior: Posterior) -> float:
        steps = SequenceBatch(
            posterior,
            torch.zeros(batch, length, dtype=torch.int64),
            torch.zeros(batch, length),
            torch.zeros(batch, length, 2),
            torch.ones(batch, length),
        )
        optimiser.zero_grad(set_to_none=True)
        mdn_rnn_loss(network, steps, config, luck).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimiser.step()
        return float(batch * length)

    cached = encode()

    def several_cached() -> float:
        return sum(update(cached) for _ in range(8))

    both = compare(several_cached, lambda: update(encode()), bench.repeats)
    what = f"steps/s, frames encoded for every batch (both {batch} × {length})"
    bench.found(ratio("MDN-RNN training", what, both, "steps", 20.0))
    operations, moved = mdn_rnn_step(network, batch * length)
    bench.works.append(Work("MDN-RNN training", "step", operations, moved, both.ours, MDN_RNN_FORMULA))
    images = (length + 1) / length
    again, frame = operations + images * encoded_image(vae), moved + images * frames[0].numel()
    formula = "the same, and V's encoder on (L + 1)/L frames a step"
    bench.works.append(Work("encoding every batch", "step", again, frame, both.other, formula))

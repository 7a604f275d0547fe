"""Make the small files of a trained agent that are fit to be given away.

    python -m mario_world_model.training.ship --vae run/vae_mario.pt --mdnrnn run/mdn_rnn_mario.pt \
        --controller run/controller_mario.pt --output shipped

Weights in half precision, fewer start states, no settings of the machine they were trained on. What they
score is what `evaluate` says of the files that this writes, not of those that it read.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from mario_world_model.checkpoints import load_agent
from mario_world_model.command import run_command
from mario_world_model.config import ShipConfig
from mario_world_model.utils.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mario_world_model.utils.cost import cost_of

_KEPT = ("dataset", "real_steps")  # of what a part says of its training: nothing that names a place on a machine


def ship(config: ShipConfig) -> list[Path]:
    """Write the three files into `config.output`; returns their paths."""
    load_agent(config.vae, config.mdnrnn, config.controller)  # they belong together
    vae = _small(load_checkpoint(config.vae, "vae"), config.vae, {})
    mdn_rnn = load_checkpoint(config.mdnrnn, "mdn_rnn")
    luck = torch.Generator().manual_seed(0)
    kept = torch.randperm(len(mdn_rnn.tensors["starts.lengths"]), generator=luck)[: config.starts]
    for name in ("latents", "actions", "lengths"):
        mdn_rnn.tensors[f"starts.{name}"] = mdn_rnn.tensors[f"starts.{name}"][kept].clone()
    mdn_rnn = _small(mdn_rnn, config.mdnrnn, {"vae": vae.fingerprint})
    controller = _small(
        load_checkpoint(config.controller, "controller"), config.controller, {"mdn_rnn": mdn_rnn.fingerprint}
    )
    written = []
    for checkpoint, source in ((vae, config.vae), (mdn_rnn, config.mdnrnn), (controller, config.controller)):
        written.append(config.output / source.name)
        save_checkpoint(written[-1], checkpoint)
    return written


def _small(checkpoint: Checkpoint, source: Path, parent: dict[str, str]) -> Checkpoint:
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in checkpoint.tensors.items()
    }
    kept = {name: checkpoint.provenance[name] for name in _KEPT if name in checkpoint.provenance}
    cost = cost_of(source)
    if cost is not None:
        kept["cost"] = dataclasses.asdict(cost)
    return dataclasses.replace(checkpoint, tensors=tensors, config={**checkpoint.config, **parent}, provenance=kept)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(ShipConfig, _report, "mario-world-model ship", arguments)


def _report(config: ShipConfig) -> None:
    for path in ship(config):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())

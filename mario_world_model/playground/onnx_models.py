"""V's decoder, M and C as ONNX graphs, made of the very modules that train and dream."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mario_world_model.errors import InputError
from mario_world_model.models.controller import Controllers
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise
from mario_world_model.models.world_model import WorldModel

_WORTH_HALVING = 4096  # bytes


class Painter(nn.Module):
    """Latents (1, Z) to a picture, float32 (1, 3, 64, 64) in 0..255, not yet rounded."""

    def __init__(self, world_model: WorldModel) -> None:
        super().__init__()
        self.vae = world_model.vae

    def forward(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents).clamp(0.0, 1.0).mul(255.0)


class Imagining(nn.Module):
    """One step of a dream.

    The noise comes scaled by the temperature τ: Gumbel by τ, because the largest of log π / τ + g is that of
    log π + τ·g, and normal by √τ. At τ = 0 both are zero and the likeliest path is left.
    """

    def __init__(self, world_model: WorldModel) -> None:
        super().__init__()
        self.mdn_rnn = world_model.mdn_rnn

    def forward(
        self, latents: Tensor, action: Tensor, hidden: Tensor, cell: Tensor, gumbel: Tensor, normal: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(1, Z), int64 (1,), (1, H), (1, C), (1, K, G), (1, Z) to latents, hidden, cell, reward (1,), odds (1, 2)."""
        after: Memory = self.mdn_rnn(latents.unsqueeze(1), action.unsqueeze(1), Memory(hidden, cell))[1]
        prediction = self.mdn_rnn.predict(after.hidden, latents)
        sample = prediction.latent.sample(MixtureNoise(gumbel, normal), temperature=1.0)
        return sample, after.hidden, after.cell, prediction.reward, torch.sigmoid(prediction.ending_logits)


class Acting(nn.Module):
    """Latents (1, Z), hidden state (1, S) and Gumbel noise (A,) to the controller's action, int64 (1,)."""

    def __init__(self, world_model: WorldModel, controller: Controllers) -> None:
        super().__init__()
        self.world_model = world_model
        self.controller = controller

    def forward(self, latents: Tensor, hidden: Tensor, gumbel: Tensor) -> Tensor:
        features = self.world_model.features_of(latents, hidden)
        return self.controller.act(features.unsqueeze(0), gumbel)[0]


def export_models(world_model: WorldModel, controller: Controllers, folder: Path) -> list[Path]:
    """Write painter.onnx, imagining.onnx and acting.onnx.

    Raises:
        InputError: the packages that write ONNX are not installed.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"expected the packages that write ONNX, found no {package}; try `pip install onnx onnxscript`"
            )
    network = world_model.mdn_rnn
    latents = torch.zeros(1, network.latent_size)
    # Two tensors that share nothing: of one that is given twice the exporter makes one input.
    memory = network.initial_memory(1)
    hidden, cell = memory.hidden, memory.cell
    gumbel = torch.zeros(1, network.config.mixtures, network.choices)
    action = torch.zeros(1, dtype=torch.int64)
    _write(folder / "painter.onnx", Painter(world_model), (latents,), ["latents"], ["picture"])
    _write(
        folder / "imagining.onnx",
        Imagining(world_model),
        (latents, action, hidden, cell, gumbel, torch.zeros_like(latents)),
        ["latents", "action", "hidden", "cell", "gumbel", "normal"],
        ["next_latents", "next_hidden", "next_cell", "reward", "odds"],
    )
    _write(
        folder / "acting.onnx",
        Acting(world_model, controller),
        (latents, hidden, torch.zeros(network.actions)),
        ["latents", "hidden", "gumbel"],
        ["action"],
    )
    return [folder / name for name in ("painter.onnx", "imagining.onnx", "acting.onnx")]


def _write(
    path: Path, module: nn.Module, inputs: tuple[Tensor, ...], names: Sequence[str], outputs: Sequence[str]
) -> None:
    # The exporter tells at length about what it does; a mistake of its own it raises.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            path,
            input_names=names,
            output_names=outputs,
            opset_version=18,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    _halve(path)


def _halve(path: Path) -> None:
    """Write those weights in half precision that lose nothing by it, as shipped ones do; they are read as before."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.raw_data) < _WORTH_HALVING:
            continue
        whole = numpy_helper.to_array(tensor)
        half = whole.astype(np.float16)
        if np.array_equal(half.astype(np.float32), whole):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            widened.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*widened, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)

"""The format of a checkpoint: tensors and plain values, read without running any code in the file."""

from __future__ import annotations

import hashlib
import io
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.tensor_archive import read_tensors

Network = TypeVar("Network", bound=nn.Module)

_FORMAT = "mario-world-model"
_SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file."""

    kind: str
    """vae, mdn_rnn or controller."""
    config: dict[str, Any]
    """Everything needed to rebuild the network, as plain values."""
    tensors: dict[str, Tensor]
    provenance: dict[str, Any]
    """What it was trained on: fingerprints of data set and parents, settings, figures."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of the tensors: equal exactly when the weights are."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the former file stays until the new one is whole."""
    content = {
        "format": _FORMAT,
        "schema": _SCHEMA,
        "kind": checkpoint.kind,
        "config": checkpoint.config,
        "tensors": {name: tensor.detach().cpu() for name, tensor in checkpoint.tensors.items()},
        "provenance": checkpoint.provenance,
    }
    # Into memory first: a file that torch opens itself bears its own name inside, and its full disk is a RuntimeError.
    archive = io.BytesIO()
    torch.save(content, archive)
    with written_whole(path) as temporary:
        temporary.write_bytes(archive.getbuffer())


def kind_of(path: Path) -> str | None:
    """What a file is a checkpoint of; None for anything else."""
    try:
        return str(_content(path, "").get("kind"))
    except InputError:
        return None


def load_checkpoint(path: Path, kind: str) -> Checkpoint:
    """Read a checkpoint of a kind, on the CPU.

    Raises InputError when the file is missing, is something else, or holds a number that is not finite.
    """
    content = _content(path, kind)
    if content.get("schema") != _SCHEMA:
        raise InputError(f"{path}: expected checkpoint schema {_SCHEMA}, found {reprlib.repr(content.get('schema'))}")
    if content.get("kind") != kind:
        raise InputError(
            f"{path}: expected a {kind} checkpoint, found a {reprlib.repr(content.get('kind'))[1:-1]} checkpoint"
        )
    for part in ("tensors", "config", "provenance"):
        found = content.get(part)
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise InputError(f"{path}: expected {part} as a dict by name, found {type(found).__name__}")
    tensors = content["tensors"]
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{path}: expected a tensor at {name!r:.80}, found {type(tensor).__name__}")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: expected finite numbers, found others in {name!r:.80}")
    return Checkpoint(kind, content["config"], tensors, content["provenance"])


def _content(path: Path, kind: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: expected a {kind} checkpoint, found no such file")
    try:
        content = read_tensors(path)
    except Exception as error:  # bytes that are made to break a parser break it in any way
        raise InputError(
            f"{path}: expected a {kind} checkpoint, found a file that is not one ({error!s:.200})"
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path}: expected a {kind} checkpoint of this project, found another file")
    return content


def widened(tensor: Tensor) -> Tensor:
    """A tensor that was stored in half precision in the one that is computed with; any other as it is."""
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def build_filled(build: Callable[[], Network], tensors: dict[str, Tensor], path: Path) -> Network:
    """A network with the weights of a file, which is first held against the network's shape alone.

    A configuration may ask for a network larger than any memory; only one that fits the tensors is made.
    """
    with torch.device("meta"):
        fill_weights(build(), tensors, path)
    network = build()
    fill_weights(network, tensors, path)
    return network


def fill_weights(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy tensors into a network; names, shapes and dtypes must be the network's own, or half its precision.

    A network on the meta device, which has shapes and nothing else, is only compared.
    """
    tensors = {name: widened(tensor) for name, tensor in tensors.items()}
    expected = network.state_dict()
    for name, own in expected.items():
        found = tensors.get(name)
        if found is None:
            raise InputError(f"{path}: expected a tensor {name!r}, found none")
        if found.shape != own.shape or found.dtype != own.dtype:
            raise InputError(
                f"{path}: {name}: expected {own.dtype} {tuple(own.shape)}, found {found.dtype} {tuple(found.shape)}"
            )
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise InputError(f"{path}: found a tensor {unknown[0]!r} that the network does not have")
    if not any(own.is_meta for own in expected.values()):
        network.load_state_dict(tensors)

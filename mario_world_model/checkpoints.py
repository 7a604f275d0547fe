"""What the checkpoints of V, M and C hold, and the checks that keep unlike parts from being put together."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from pathlib import Path
from typing import Any, get_args

import torch

from mario_world_model.config import ActionSet, MDNRNNConfig, VAEConfig, ViewConfig, from_plain, to_plain
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.agent import Agent
from mario_world_model.models.controller import Controllers, Layer
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.vae import VAE
from mario_world_model.models.world_model import Controls, Starts, WorldModel
from mario_world_model.utils.checkpoint import Checkpoint, build_filled, load_checkpoint, save_checkpoint, widened

Provenance = dict[str, Any]

# What files say nothing of that were written before there was a choice.
_BEFORE_LANDMARKS = {"landmarks": False, "enemy_map": False}
_BEFORE_CHANGES = {"reads_change": False, "ending_heads": 0}
_LARGEST_SIZE = 1_000_000  # of a latent or a hidden state: beyond anything that was ever trained


@dataclasses.dataclass(frozen=True)
class SavedVAE:
    """A VAE as it was read, with the fingerprint by which other checkpoints know it."""

    vae: VAE
    controls: Controls
    fingerprint: str
    path: Path


def save_vae(path: Path, vae: VAE, controls: Controls, provenance: Provenance) -> None:
    """Write V."""
    config = {"vae": to_plain(vae.config), "controls": to_plain(controls)}
    save_checkpoint(path, Checkpoint("vae", config, vae.state_dict(), provenance))


def _with(unsaid: dict[str, Any], plain: Any) -> Any:
    return {**unsaid, **plain} if isinstance(plain, dict) else plain


def load_vae(path: Path) -> SavedVAE:
    """Read V, in evaluation mode, on the CPU."""
    saved = load_checkpoint(path, "vae")
    config = from_plain(VAEConfig, _with(_BEFORE_LANDMARKS, saved.config.get("vae")), str(path))
    vae = build_filled(lambda: VAE(config), saved.tensors, path)
    return SavedVAE(vae.eval(), _controls(saved, path), saved.fingerprint, path)


def save_mdn_rnn(path: Path, world_model: WorldModel, vae_fingerprint: str, provenance: Provenance) -> None:
    """Write M with the start states of its dreams."""
    config = {
        "mdn_rnn": to_plain(world_model.mdn_rnn.config),
        "latent_size": world_model.mdn_rnn.latent_size,
        "controls": to_plain(world_model.controls),
        "reward_bounds": list(world_model.reward_bounds),
        "vae": vae_fingerprint,
    }
    tensors = {f"network.{name}": tensor for name, tensor in world_model.mdn_rnn.state_dict().items()}
    # Half precision is finer than the posterior of any latent, and halves the file.
    tensors["starts.latents"] = world_model.starts.latents.half()
    tensors["starts.actions"] = world_model.starts.actions
    tensors["starts.lengths"] = world_model.starts.lengths
    save_checkpoint(path, Checkpoint("mdn_rnn", config, tensors, provenance))


def load_mdn_rnn(path: Path, saved_vae: SavedVAE | None = None) -> MDNRNN:
    """Read M alone, in evaluation mode, on the CPU, whichever V it was trained with.

    Raises InputError when latent size or controls differ from those of `saved_vae`, if that is given.
    """
    return _network(load_checkpoint(path, "mdn_rnn"), path, saved_vae).eval()


def load_world_model(vae_path: Path, mdn_rnn_path: Path) -> tuple[WorldModel, str]:
    """Read V and M, and the fingerprint of M.

    Raises InputError when M was trained on the latents of another V.
    """
    saved_vae = load_vae(vae_path)
    saved = load_checkpoint(mdn_rnn_path, "mdn_rnn")
    network = _network(saved, mdn_rnn_path, saved_vae)
    if saved.config.get("vae") != saved_vae.fingerprint:
        raise InputError(
            f"{mdn_rnn_path}: expected a MDN-RNN trained on the latents of {vae_path} "
            f"({saved_vae.fingerprint[:12]}), found one trained on another VAE's ({str(saved.config.get('vae'))[:12]})"
        )
    world_model = WorldModel(
        vae=saved_vae.vae,
        mdn_rnn=network.eval(),
        controls=saved_vae.controls,
        starts=_starts(saved, network.latent_size, network.actions, mdn_rnn_path),
        reward_bounds=_reward_bounds(saved, mdn_rnn_path),
    )
    return world_model, saved.fingerprint


def _network(saved: Checkpoint, path: Path, saved_vae: SavedVAE | None) -> MDNRNN:
    latent_size, controls = _size(saved, "latent_size", path), _controls(saved, path)
    if saved_vae is not None:
        own_size = saved_vae.vae.config.latent_size
        if latent_size != own_size:
            raise InputError(
                f"{path}: expected a MDN-RNN for {own_size} latents as in {saved_vae.path}, found one for {latent_size}"
            )
        _require_same_controls(controls, path, saved_vae.controls, saved_vae.path)
    config = from_plain(MDNRNNConfig, _with(_BEFORE_CHANGES, saved.config.get("mdn_rnn")), str(path))
    actions = len(ACTION_SETS[controls.actions])
    weights = {
        name.removeprefix("network."): tensor for name, tensor in saved.tensors.items() if name.startswith("network.")
    }
    return build_filled(lambda: MDNRNN(config, latent_size, actions), weights, path)


def save_controllers(
    path: Path, controllers: Controllers, world_model: WorldModel, mdn_rnn_fingerprint: str, provenance: Provenance
) -> None:
    """Write C: one controller, or several of one evolution."""
    config = {
        "bound": controllers.bound,
        "latent_size": world_model.mdn_rnn.latent_size,
        "hidden_size": world_model.mdn_rnn.hidden_size,
        "controls": to_plain(world_model.controls),
        "mdn_rnn": mdn_rnn_fingerprint,
    }
    tensors = {"weight": controllers.weight, "bias": controllers.bias}
    if controllers.inner is not None:
        tensors |= {"inner.weight": controllers.inner.weight, "inner.bias": controllers.inner.bias}
    save_checkpoint(path, Checkpoint("controller", config, tensors, provenance))


def load_controllers(
    path: Path, world_model: WorldModel | None = None, mdn_rnn_fingerprint: str | None = None
) -> Controllers:
    """Read what `save_controllers` wrote, whichever world model it belongs to.

    Raises InputError when sizes or controls are not those of `world_model`, or it was evolved on an M of another
    fingerprint, where these are given.
    """
    saved = load_checkpoint(path, "controller")
    sizes = {field: _size(saved, field, path) for field in ("latent_size", "hidden_size")}
    controls = _controls(saved, path)
    if world_model is not None:
        for field, size in sizes.items():
            own = getattr(world_model.mdn_rnn, field)
            if size != own:
                raise InputError(f"{path}: {field}: expected {own} as in the MDN-RNN, found {size}")
        _require_same_controls(controls, path, world_model.controls, Path("the MDN-RNN"))
    if mdn_rnn_fingerprint is not None and saved.config.get("mdn_rnn") != mdn_rnn_fingerprint:
        raise InputError(
            f"{path}: expected a controller evolved on this MDN-RNN ({mdn_rnn_fingerprint[:12]}), "
            f"found one evolved on another ({str(saved.config.get('mdn_rnn'))[:12]})"
        )
    actions, features = len(ACTION_SETS[controls.actions]), sum(sizes.values())
    tensors = {name: widened(tensor) for name, tensor in saved.tensors.items()}
    count = len(tensors["bias"]) if "bias" in tensors and tensors["bias"].ndim else 1
    shapes: dict[str, tuple[int, ...]] = {"weight": (count, actions, features), "bias": (count, actions)}
    if "inner.bias" in tensors:
        units = tensors["inner.bias"].shape[-1] if tensors["inner.bias"].ndim else 1
        shapes |= {"weight": (count, actions, units), "inner.bias": (count, units)}
        shapes["inner.weight"] = (count, units, features)
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None or tuple(found.shape) != shape or found.dtype != torch.float32:
            raise InputError(
                f"{path}: {name}: expected float32 {shape}, found {None if found is None else tuple(found.shape)}"
            )
    bound = saved.config.get("bound")
    if not isinstance(bound, float) or not 0.0 <= bound < math.inf:
        raise InputError(f"{path}: bound: expected a number ≥ 0, found {reprlib.repr(bound)}")
    inner = Layer(tensors["inner.weight"], tensors["inner.bias"]) if "inner.bias" in tensors else None
    return Controllers(tensors["weight"], tensors["bias"], bound, inner)


def load_controller(
    path: Path, world_model: WorldModel | None = None, mdn_rnn_fingerprint: str | None = None
) -> Controllers:
    """`load_controllers` of a file that holds exactly one."""
    controllers = load_controllers(path, world_model, mdn_rnn_fingerprint)
    if len(controllers.bias) != 1:
        raise InputError(f"{path}: expected one controller, found the {len(controllers.bias)} of an evolution's path")
    return controllers


def load_agent(vae: Path, mdn_rnn: Path, controller: Path) -> Agent:
    """Read V, M and C and put them together."""
    world_model, fingerprint = load_world_model(vae, mdn_rnn)
    return Agent(world_model, load_controller(controller, world_model, fingerprint))


def controls_from_plain(plain: Any, path: Path) -> Controls:
    """Rebuild what an agent was trained under; raises InputError naming the file."""
    skip = plain.get("frame_skip") if isinstance(plain, dict) else None
    if not isinstance(skip, int) or not 1 <= skip <= 60 or plain.get("actions") not in get_args(ActionSet):
        raise InputError(f"{path}: expected the controls it was trained under, found {reprlib.repr(plain)}")
    return Controls(plain["actions"], skip, from_plain(ViewConfig, plain.get("view"), str(path)))


def _size(saved: Checkpoint, field: str, path: Path) -> int:
    size = saved.config.get(field)
    if not isinstance(size, int) or not 1 <= size <= _LARGEST_SIZE:
        raise InputError(f"{path}: {field}: expected 1 to {_LARGEST_SIZE}, found {reprlib.repr(size)}")
    return size


def _controls(saved: Checkpoint, path: Path) -> Controls:
    return controls_from_plain(saved.config.get("controls"), path)


def _require_same_controls(found: Controls, path: Path, expected: Controls, other: Path) -> None:
    for field in ("actions", "frame_skip", "view"):
        if getattr(found, field) != getattr(expected, field):
            raise InputError(
                f"{path}: {field}: expected {getattr(expected, field)} as in {other}, found {getattr(found, field)}"
            )


def _starts(saved: Checkpoint, latent_size: int, actions: int, path: Path) -> Starts:
    parts = [saved.tensors.get(f"starts.{name}") for name in ("latents", "actions", "lengths")]
    latents, played, lengths = parts
    if latents is None or played is None or lengths is None:
        raise InputError(f"{path}: expected start states for dreams, found none")
    count, warmup = lengths.numel(), played.shape[-1] if played.ndim else 0
    fit = (
        latents.shape == (count, warmup + 1, latent_size)
        and played.shape == (count, warmup)
        and lengths.shape == (count,)
        and min(count, warmup) > 0
        and latents.is_floating_point()
        and played.dtype == lengths.dtype == torch.int64
    )
    if not fit or not _within(played, 0, actions - 1) or not _within(lengths, 0, warmup):
        raise InputError(
            f"{path}: expected start states (N, W+1, {latent_size}) with actions 0 to {actions - 1}, "
            f"found {tuple(latents.shape)} with actions {tuple(played.shape)}"
        )
    return Starts(latents.float(), played, lengths)


def _within(numbers: torch.Tensor, low: int, high: int) -> bool:
    return low <= int(numbers.min()) and int(numbers.max()) <= high


def _reward_bounds(saved: Checkpoint, path: Path) -> tuple[float, float]:
    bounds = saved.config.get("reward_bounds")
    if (
        not isinstance(bounds, list)
        or len(bounds) != 2
        or not all(isinstance(one, float) for one in bounds)
        or not -1e6 <= bounds[0] <= bounds[1] <= 1e6
    ):
        raise InputError(f"{path}: expected reward_bounds [low, high], found {reprlib.repr(bounds)}")
    return float(bounds[0]), float(bounds[1])

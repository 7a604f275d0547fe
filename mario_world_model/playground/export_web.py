"""Write a folder that dreams in the visitor's browser: no server, no ROM, no picture of the game.

mario-world-model export-web --output site
python -m http.server --directory site
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

import numpy as np
import torch

from mario_world_model.checkpoints import load_controller, load_world_model
from mario_world_model.command import run_command
from mario_world_model.config import ExportWebConfig
from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import Starts, WorldModel
from mario_world_model.playground.agent_files import agent_files
from mario_world_model.playground.app import PAGE_FILES, static_file
from mario_world_model.playground.greeting import welcome
from mario_world_model.playground.onnx_models import export_models
from mario_world_model.playground.web_runtime import find_runtime, unpack_runtime

# The page's own files, but for the one that says where pictures come from, which is another here.
_SHARED: Final = tuple(name for name in PAGE_FILES if name != "source.js")
_LOCAL: Final = ("chance.js", "clock.js", "dream_session.js", "dream_worker.js", "recorder.js", "world.js")
_MOST_SITUATIONS: Final = 128
_MARK: Final = "world.json"

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""As strict as the server's, but for WebAssembly; a plain host sends no headers, so it is in the page."""


def export_web(config: ExportWebConfig) -> Path:
    """Write the folder of a configuration, in place of an earlier export; returns its path.

    Raises:
        InputError: the output holds something else, a package or npm is missing, or the agent does not fit together.
    """
    output = config.output
    if output.exists() and not (output / _MARK).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: expected an earlier export or nothing there, found something else")
    vae, mdn_rnn, controller_file = agent_files(config.vae, config.mdnrnn, config.controller)
    world_model, fingerprint = load_world_model(vae, mdn_rnn)
    controller = load_controller(controller_file, world_model, fingerprint)
    runtime = find_runtime(config.runtime)
    half = output.with_name(f".{output.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    export_models(world_model, controller, half)
    unpack_runtime(runtime, half / "ort")
    _write_page(half)
    _write_world(half, world_model)
    shutil.rmtree(output, ignore_errors=True)
    half.rename(output)
    return output


def _write_page(folder: Path) -> None:
    for name in (*_SHARED, *_LOCAL):
        (folder / name).write_bytes(static_file(name).content)
    (folder / "source.js").write_bytes(static_file("source_local.js").content)
    page = static_file("index.html").content.decode()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />'
    (folder / "index.html").write_text(
        page.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />\n    {meta}')
    )


def exported_situations(world_model: WorldModel) -> Starts:
    """The situations that the page has, in its order: evenly chosen ones of those M was saved with.

    Beginnings of a level first, since the page opens with the first one, and elsewhere Mario may be about to die.
    """
    every = world_model.starts
    places = torch.linspace(0, len(every) - 1, min(len(every), _MOST_SITUATIONS)).round().long()
    chosen = every.lengths.argsort(stable=True)[places]
    return Starts(every.latents[chosen], every.actions[chosen], every.lengths[chosen])


@torch.inference_mode()
def _write_world(folder: Path, world_model: WorldModel) -> None:
    """The situations dreams begin in, with memories filled, and what the page has to know of the model."""
    starts = exported_situations(world_model)
    latents, memory = world_model.recall(starts)
    rows = torch.cat([latents, memory.hidden, memory.cell], dim=1).numpy().astype("<f4")
    (folder / "situations.bin").write_bytes(np.ascontiguousarray(rows).tobytes())
    network = world_model.mdn_rnn
    world = {
        "welcome": {**welcome(world_model, ["you", "dreamer", "random"], None), "situations": len(starts)},
        "buttons": list(ACTION_SETS[world_model.controls.actions]),
        "latent_size": network.latent_size,
        "hidden_size": memory.hidden.shape[1],
        "cell_size": memory.cell.shape[1],
        "mixtures": network.config.mixtures,
        "choices": network.choices,
        "reward_bounds": list(world_model.reward_bounds),
    }
    (folder / _MARK).write_text(json.dumps(world))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(ExportWebConfig, _report, "mario-world-model export-web", arguments)


def _report(config: ExportWebConfig) -> None:
    output = export_web(config)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    print(f"{output}: {size / 1e6:.1f} MB; serve it from any host, or: python -m http.server --directory {output}")


if __name__ == "__main__":
    sys.exit(main())

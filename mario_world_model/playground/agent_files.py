"""Which V, M and C: those that were named, or the ones that come with the package."""

from __future__ import annotations

from pathlib import Path

from mario_world_model import pretrained
from mario_world_model.errors import InputError


def agent_files(vae: Path | None, mdn_rnn: Path | None, controller: Path | None) -> tuple[Path, Path, Path]:
    """The three files.

    Raises:
        InputError: some were named and others not.
    """
    if vae is not None and mdn_rnn is not None and controller is not None:
        return vae, mdn_rnn, controller
    named = {"--vae": vae, "--mdnrnn": mdn_rnn, "--controller": controller}
    if any(path is not None for path in named.values()):
        missing = [flag for flag, path in named.items() if path is None]
        raise InputError(
            f"expected --vae, --mdnrnn and --controller together or none, found no {' and no '.join(missing)}"
        )
    return pretrained.VAE, pretrained.MDN_RNN, pretrained.CONTROLLER

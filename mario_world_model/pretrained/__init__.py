"""The world model and controller of 1-1 that come with the package; MODEL_CARD.md says what they are."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
VAE = _FOLDER / "vae_mario.pt"
MDN_RNN = _FOLDER / "mdn_rnn_mario.pt"
CONTROLLER = _FOLDER / "controller_mario.pt"

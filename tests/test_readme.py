"""The README's Python, run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from tests.world import ACTIONS, save_world, small_world

README = Path(__file__).parents[1] / "README.md"
STEPS = 5


@pytest.mark.usefixtures("rom")
def test_the_python_of_the_readme_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Gymnasium takes v1 to v3, other pictures of the same game, for newer versions of v0, and warns.
    monkeypatch.setattr(gymnasium.logger, "min_level", gymnasium.logger.ERROR)
    (tmp_path / "demo").mkdir()
    save_world(tmp_path / "demo", small_world())
    for part, name in (("v", "vae"), ("m", "mdn_rnn"), ("c", "controller")):
        (tmp_path / f"demo/{part}.pt").rename(tmp_path / f"demo/{name}_mario.pt")
    frames = np.random.default_rng(0).integers(0, 256, (STEPS + 1, 64, 64, 3), dtype=np.uint8)
    names: dict[str, Any] = {
        "frame": frames[0],
        "frames": torch.from_numpy(frames),
        "actions": torch.arange(STEPS) % ACTIONS,
    }
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        exec(block, names)
    world = names["agent"].world_model
    assert names["env"].reset(seed=1)[0].shape == (224, 240, 3)
    assert names["action"] in range(ACTIONS)
    assert torch.equal(names["latents"], world.encode(names["frames"]))
    assert names["expected"].reward.shape == (1, STEPS)
    assert names["features"].shape == (world.features,)
    # A controller of zeros is the uniformly random agent.
    assert names["chances"].tolist() == pytest.approx([1 / ACTIONS] * ACTIONS)
    assert names["dream"].reset(seed=1)[0].shape == (64, 64, 3)
    names["env"].close()

"""The baseline's files, and a training that loses one of its games."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mario_world_model.config import GameConfig, ViewConfig
from mario_world_model.evaluation.record import origin_of
from mario_world_model.policies.choice import PolicyChoice
from mario_world_model.policies.ppo import PPO_KIND, load_ppo
from mario_world_model.utils.checkpoint import load_checkpoint
from mario_world_model.utils.environment import make_env
from mario_world_model.utils.game_state import ResumableGame
from tests.faults.workers import children

LINE = "ppo --preset debug --device cpu --environments 2 --timesteps 256 --save-every 0 --output p"


def begin(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    command = [sys.executable, "-m", "mario_world_model", *LINE.split()]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("rom")
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the games in /proc")
def test_a_lost_game_is_replaced_and_both_files_hold_the_same_agent(tmp_path: Path) -> None:
    sound, disturbed = begin(tmp_path / "sound"), begin(tmp_path / "disturbed")
    while not (tmp_path / "disturbed" / "p.pt.resume").exists():
        time.sleep(0.01)
    games = [child for server in children(disturbed.pid) for child in children(server)]
    os.kill(games[0], signal.SIGKILL)
    said = disturbed.communicate(timeout=120)[1]
    assert disturbed.returncode == 0, said
    assert "a game's process was lost; this rollout is played again" in said
    assert "256 steps" in sound.communicate(timeout=120)[0]
    for name in ("p.pt", "p.128.pt", "p.256.pt"):
        assert (tmp_path / "sound" / name).read_bytes() == (tmp_path / "disturbed" / name).read_bytes()
    # The output is the agent of the better of its two checks, and says so.
    known = load_checkpoint(tmp_path / "sound/p.pt", PPO_KIND)
    checks = known.provenance["checks"]
    best = max(checks, key=lambda one: (one["flag_rate"], one["max_x"], one["timesteps"]))
    assert [one["timesteps"] for one in checks] == [128, 256]
    assert known.provenance["timesteps"] == best["timesteps"]
    kept = load_checkpoint(tmp_path / f"sound/p.{best['timesteps']}.pt", PPO_KIND)
    assert all(torch.equal(tensor, kept.tensors[name]) for name, tensor in known.tensors.items())
    (log,) = (tmp_path / "sound/logs/ppo").glob("*/scalars.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    checked = [row for row in rows if "validation/max_x" in row]
    assert [(row["step"], row["validation/max_x"]) for row in checked] == [
        (one["timesteps"], one["max_x"]) for one in checks
    ]

    # Beside each of them, what it cost.
    spent = [
        origin_of(PolicyChoice(ppo=tmp_path / "sound" / name)).core_hours for name in ("p.128.pt", "p.256.pt", "p")
    ]
    assert 0.0 < spent[0] < spent[1] < spent[2]

    plain, archive = load_ppo(tmp_path / "sound/p"), load_ppo(tmp_path / "sound/p.zip", trust=True)
    assert plain.controls == archive.controls
    screen = np.random.default_rng(0).integers(0, 256, (224, 240, 3), dtype=np.uint8)
    for policy in (plain, archive):
        policy.reset(np.random.default_rng(1))
    assert [plain.act(screen) for _ in range(20)] == [archive.act(screen) for _ in range(20)]
    weights = zip(plain._policy.parameters(), archive._policy.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


@pytest.mark.usefixtures("rom")
def test_a_game_that_is_put_back_plays_on_as_before() -> None:
    def play(steps: int) -> list[tuple[bytes, float]]:
        seen = []
        for step in range(steps):
            view, reward, over, _, _ = game.step(step % 7)
            seen.append((view.tobytes(), float(reward)))
            if over:
                game.reset()
        return seen

    game = ResumableGame(make_env(GameConfig(), ViewConfig(size=84, grey=True, stack=4)))
    game.reset(seed=3)
    play(9)
    state = game.take_state()
    once = play(120)  # past a death, after which noops are drawn
    game.reset(seed=4)
    game.put_state(state)
    assert play(120) == once

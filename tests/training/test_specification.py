"""The commands of the specification, exactly as a user types them, made small by number flags alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mario_world_model.checkpoints import load_agent
from mario_world_model.policies.ppo import load_ppo
from mario_world_model.rollouts.dataset import open_dataset

STAGE = "mario_world_model.training."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specification")


def run(folder: Path, line: str) -> str:
    """Run `python -m mario_world_model.training.<line>` in a folder; its standard output."""
    command = [sys.executable, "-W", "error::DeprecationWarning:mario_world_model", "-m", STAGE + line.split()[0]]
    done = subprocess.run(
        [*command, *line.split()[1:]], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.usefixtures("rom")
def test_every_command_runs_and_leaves_what_it_promises(folder: Path) -> None:
    collected = run(
        folder,
        "data_collection --env SuperMarioBros-1-1-v0 --episodes 3 --max-steps 60 --output data/mario_rollouts.pkl",
    )
    dataset = open_dataset(folder / "data/mario_rollouts.pkl")
    assert len(dataset.episodes) == 3
    assert f"3 episodes, {dataset.steps} steps" in collected
    for episode in dataset.episodes:
        assert 1 <= len(episode) <= 60
        assert episode.info.terminated != episode.info.truncated
        assert episode.column("x")[-1] > 40
        assert episode.frames[:].std() > 10

    vae = run(
        folder,
        "train_vae --dataset data/mario_rollouts.pkl --epochs 3 --batch-size 16 --latent-size 32 "
        "--learning-rate 0.001 --output checkpoints/vae_mario.pt",
    )
    before, after = map(float, re.search(r"loss (\S+) → (\S+),", vae).groups())  # type: ignore[union-attr]
    assert after < before

    memory = run(
        folder,
        "train_mdn_rnn --dataset data/mario_rollouts.pkl --vae checkpoints/vae_mario.pt --epochs 6 "
        "--sequence-length 100 --hidden-size 32 --output checkpoints/mdn_rnn_mario.pt",
    )
    before, after = map(float, re.search(r"loss (\S+) → (\S+);", memory).groups())  # type: ignore[union-attr]
    assert after < before

    evolved = run(
        folder,
        "train_controller --vae checkpoints/vae_mario.pt --mdnrnn checkpoints/mdn_rnn_mario.pt --iterations 2 "
        "--population-size 4 --horizon 10 --output checkpoints/controller_mario.pt",
    )
    assert "2 generations, mean dreamt return" in evolved
    names = ("vae_mario.pt", "mdn_rnn_mario.pt", "controller_mario.pt")
    agent = load_agent(*(folder / "checkpoints" / name for name in names))
    assert agent.world_model.features == 32 + (32 + 32 + 7)  # z, and of h the units, changes and the action

    run(
        folder,
        "ppo_baseline --env SuperMarioBros-1-1-v0 --timesteps 64 --environments 2 --rollout-steps 32 "
        "--batch-size 32 --update-epochs 1 --check-episodes 2 --check-max-steps 60 --output checkpoints/ppo_mario",
    )
    load_ppo(folder / "checkpoints/ppo_mario")

    for agent_flags in (
        "--vae checkpoints/vae_mario.pt --mdnrnn checkpoints/mdn_rnn_mario.pt "
        "--controller checkpoints/controller_mario.pt",
        "--ppo checkpoints/ppo_mario",
    ):
        said = run(
            folder,
            f"evaluate {agent_flags} --env SuperMarioBros-1-1-v0 --episodes 2 --max-steps 30 --output scores.json",
        )
        assert re.search(r"mean score -?\d+\.\d ± \d+\.\d, mean max x \d+", said)
        scores = json.loads((folder / "scores.json").read_text())
        assert len(scores["episodes"]) == 2
        mean = sum(episode["score"] for episode in scores["episodes"]) / 2
        assert scores["summary"]["mean_score"] == pytest.approx(mean)
        assert all(episode["frames"] == 4 * episode["steps"] <= 120 for episode in scores["episodes"])

    assert list((folder / "logs").glob("vae/*/events.out.tfevents.*"))
    (log,) = (folder / "logs").glob("mdn_rnn/*/scalars.jsonl")
    last = [row for line in log.read_text().splitlines() if "open_loop/error_y" in (row := json.loads(line))][-1]
    assert last["open_loop/error_y"] > 0.0
    for output in ("data/mario_rollouts.pkl", "checkpoints/vae_mario.pt", "checkpoints/ppo_mario.pt"):
        assert json.loads((folder / f"{output}.json").read_text())["preset"] == "default"
    assert not list(folder.rglob("*.tmp*"))
    assert not list(folder.rglob("*.partial"))


@pytest.mark.usefixtures("rom")
def test_a_video_is_written_where_there_is_no_display(folder: Path) -> None:
    said = run(folder, "evaluate --policy right --episodes 1 --max-steps 20 --render --workers 1")
    video = Path(said.splitlines()[-1])
    assert (folder / video).stat().st_size > 1000


@pytest.mark.usefixtures("rom")
def test_fitness_in_the_real_game(folder: Path) -> None:
    said = run(
        folder,
        "train_controller --vae checkpoints/vae_mario.pt --mdnrnn checkpoints/mdn_rnn_mario.pt --fitness real "
        "--iterations 1 --population-size 4 --starts-per-candidate 1 --max-steps 20 --output real.pt",
    )
    assert "1 generations, mean real return" in said


@pytest.mark.usefixtures("rom")
def test_a_controller_collects_and_appends(folder: Path) -> None:
    line = (
        "data_collection --policy checkpoints/controller_mario.pt --vae checkpoints/vae_mario.pt "
        "--mdnrnn checkpoints/mdn_rnn_mario.pt --episodes 1 --max-steps 20 --append --output data/mario_rollouts.pkl"
    )
    run(folder, line)
    dataset = open_dataset(folder / "data/mario_rollouts.pkl")
    assert [episode.info.index for episode in dataset.episodes] == [0, 1, 2, 3]
    assert dataset.episodes[3].info.policy == "world model"

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch

from mario_world_model import cli, pretrained
from mario_world_model.checkpoints import load_agent
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.episode_file import write_episode
from tests.rollouts.episodes import made_up_episode
from tests.world import save_world, small_world


def test_the_package_s_agent_is_small_and_whole() -> None:
    files = (pretrained.VAE, pretrained.MDN_RNN, pretrained.CONTROLLER)
    assert sum(file.stat().st_size for file in files) <= 12_000_000
    agent = load_agent(*files)
    assert agent.controller.weight.dtype == torch.float32
    assert len(agent.world_model.starts) == 512
    assert (pretrained.VAE.parent / "MODEL_CARD.md").is_file()


@pytest.mark.usefixtures("rom")
def test_the_package_s_agent_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"evaluate --pretrained --episodes 2 --max-steps 60 --seed 7 --output {tmp_path}/e.json"
    assert cli.main(command.split()) == 0
    assert "world model: mean score" in capsys.readouterr().out
    # Sixty steps of anything take Mario past the start at x = 40; this one walks.
    assert json.loads((tmp_path / "e.json").read_text())["summary"]["mean_max_x"] > 150


def test_its_dream_is_a_film(tmp_path: Path) -> None:
    assert cli.main(f"dream --pretrained --steps 20 --video {tmp_path}/d.mp4".split()) == 0
    film = iio.imread(tmp_path / "d.mp4", plugin="pyav")
    assert film.shape == (21, 384, 384, 3)
    # A level to look at: the sky is blue, the ground is not, and the picture moves.
    assert film[:, 100:200, :, 2].mean() > 150
    assert film[:, 100:200, :, 2].mean() > film[:, 360:, :, 2].mean() + 50
    assert abs(film[-1].astype(int) - film[0].astype(int)).mean() > 0.5


def test_a_dream_beside_the_game(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        write_episode(tmp_path / f"episode-{index:06d}.safetensors", made_up_episode(index, steps=20))
    video = tmp_path.parent / f"{tmp_path.name}.mp4"
    command = f"dream --pretrained --dataset {tmp_path} --episode 1 --first 5 --video {video}"
    assert cli.main(command.split()) == 0
    film = iio.imread(video, plugin="pyav")
    assert film.shape == (16, 256, 4 * 256 + 3 * 8, 3)
    reconstruction, dream, apart = (film[0, :, left : left + 256].astype(int) for left in (264, 528, 792))
    assert abs(reconstruction - dream).mean() < 3  # it begins where V sees the game
    assert apart.mean() < 3
    assert cli.main(command.replace("--first 5", "--first 50").split()) == 2
    assert "expected an episode 1 with more than 50 steps" in capsys.readouterr().err


def test_shipped_files_are_half_as_large_and_do_the_same(tmp_path: Path) -> None:
    world = small_world()
    save_world(tmp_path, world)
    flags = f"--vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --controller {tmp_path}/c.pt --starts 16"
    assert cli.main(f"ship {flags} --output {tmp_path}/out".split()) == 0
    shipped = load_agent(*(tmp_path / "out" / name for name in ("v.pt", "m.pt", "c.pt"))).world_model
    assert len(shipped.starts) == 16
    assert (tmp_path / "out" / "m.pt").stat().st_size < 0.8 * (tmp_path / "m.pt").stat().st_size
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(shipped.encode(frames), world.encode(frames), rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("rom")
def test_replay_plays_the_furthest_episode_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "d"
    collect = f"collect --policy biased --episodes 3 --max-steps 40 --sticky 0 --noops 0 --seed 5 --output {data}"
    assert cli.main(collect.split()) == 0
    replay = f"evaluate --policy replay --dataset {data} --episodes 1 --max-steps 40 --output {tmp_path}/e.json"
    assert cli.main(f"{replay} --sticky 0 --noops 0".split()) == 0
    furthest = json.loads((tmp_path / "e.json").read_text())["summary"]["best_max_x"]
    assert furthest == max(int(episode.column("x").max()) for episode in open_dataset(data).episodes)
    assert cli.main(["evaluate", "--policy", "replay"]) == 2
    assert "expected --policy replay and --dataset together" in capsys.readouterr().err


def test_a_controller_can_be_kept_from_seeing_the_memory(tmp_path: Path) -> None:
    world = small_world()
    save_world(tmp_path, world)
    command = (
        f"train-controller --preset debug --vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --sees z "
        f"--output {tmp_path}/c.pt --logs {tmp_path}/logs"
    )
    assert cli.main(command.split()) == 0
    weight = load_agent(tmp_path / "v.pt", tmp_path / "m.pt", tmp_path / "c.pt").controller.weight
    assert weight[..., :64].any()
    assert not weight[..., 64:].any()

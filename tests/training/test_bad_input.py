"""Every mistake costs one clear line and exit status 2; nothing is half-written or overwritten."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest
import torch

from mario_world_model import cli
from mario_world_model.checkpoints import save_vae
from mario_world_model.config import ViewConfig
from mario_world_model.models.world_model import Controls
from mario_world_model.rollouts.pickle_file import write_pickle
from tests.rollouts.episodes import made_up_episode
from tests.world import save_world, small_world


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sound world model, data set and strangers; commands run inside it."""
    monkeypatch.chdir(tmp_path)
    save_world(tmp_path, small_world())
    save_world(tmp_path, small_world(latent_size=128), "big_")
    save_world(tmp_path, small_world(hidden_size=16), "thin_")
    other = dataclasses.replace(small_world(), controls=Controls("COMPLEX_MOVEMENT", 4, ViewConfig()))
    save_vae(tmp_path / "complex_v.pt", other.vae, other.controls, {})
    world = small_world()
    with torch.no_grad():
        world.vae.encoder[0].bias += 1.0  # type: ignore[operator, union-attr]
    save_world(tmp_path, world, "moved_")
    with torch.no_grad():
        world.vae.encoder[0].bias[0] = torch.nan  # type: ignore[index, union-attr]
    save_vae(tmp_path / "nan_v.pt", world.vae, world.controls, {})
    write_pickle(tmp_path / "d.pkl", [made_up_episode(0), made_up_episode(1)])
    write_pickle(tmp_path / "single.pkl", [made_up_episode(0)])
    (tmp_path / "text.pt").write_text("not a checkpoint")
    (tmp_path / "text.pkl").write_text("not a data set")
    (tmp_path / "steers.pkl").write_bytes(b"\x80\x02c\x1b[2Jos\nsystem\n.")  # clears a terminal that it is shown on
    (tmp_path / "text.zip").write_text("not an archive")
    with zipfile.ZipFile(tmp_path / "stranger.zip", "w") as archive:
        archive.writestr("data", "{}")
    (tmp_path / "wrong.nes").write_bytes(b"NES\x1a" + bytes(40_000))
    torch.save({"weights": torch.zeros(3)}, tmp_path / "stranger.pt")
    for name in ("kept.pt", "kept.pkl", "kept.zip"):
        (tmp_path / name).write_text("what was here before")
    return tmp_path


WRITES = ("collect", "train-vae", "train-mdn-rnn", "train-controller", "ppo")
V, M, C = "--vae v.pt", "--mdnrnn m.pt", "--controller c.pt"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "expected a command"),
        ("collect --episodes 0", "episodes: expected at least 1, found 0"),
        ("collect --episodes many", "many"),
        ("collect --nonsense 1", "--nonsense"),
        ("collect --preset nonsense", "--preset: expected one of default, demo, cores, gpu, paper, debug"),
        ("collect --sticky 1.5", "sticky: expected a probability in [0, 1), found 1.5"),
        ("collect --env SuperMarioBros-9-9-v0", "env: expected SuperMarioBros-"),
        ("collect --rom none.nes", "expected a file, found nothing at none.nes"),
        ("collect --rom wrong.nes", "expected SHA-1"),
        ("collect --actions NONSENSE", "NONSENSE"),
        ("collect --policy nonsense", "--policy: expected uniform, biased, right"),
        ("collect --policy .relative:name", ".relative:name: expected module:function"),
        ("collect --policy c.pt", "expected --vae and --mdnrnn beside a controller"),
        (f"collect --policy c.pt {V} {M} --actions RIGHT_ONLY", "expected an agent for RIGHT_ONLY"),
        ("data info none.pkl", "expected a data set from data_collection, found no such file"),
        ("data info text.pkl", "expected a pickled data set"),
        ("data info steers.pkl", "expected a pickled data set"),
        ("train-vae --dataset none.pkl", "none.pkl: expected a data set"),
        ("train-vae --dataset v.pt", "v.pt: expected a pickled data set"),
        ("train-vae --dataset single.pkl", "expected at least 2 episodes"),
        ("train-vae --dataset d.pkl --architecture grid --latent-size 30", "expected a multiple of 64"),
        ("train-mdn-rnn --head-size -1", "head_size: expected 0 to 8192"),
        ("train-vae --dataset d.pkl --device cuda", "expected a device that is there (cpu), found cuda"),
        ("train-vae --dataset d.pkl --learning-rate -1", "learning_rate: expected a number > 0"),
        ("train-mdn-rnn --dataset d.pkl --vae none.pt", "none.pt: expected a vae checkpoint, found no such file"),
        ("train-mdn-rnn --dataset d.pkl --vae text.pt", "text.pt: expected a vae checkpoint, found a file that is not"),
        ("train-mdn-rnn --dataset d.pkl --vae stranger.pt", "expected a vae checkpoint of this project"),
        ("train-mdn-rnn --dataset d.pkl --vae m.pt", "m.pt: expected a vae checkpoint, found a mdn_rnn checkpoint"),
        ("train-mdn-rnn --dataset d.pkl --vae complex_v.pt", "complex_v.pt: expected a VAE for"),
        ("train-mdn-rnn --dataset d.pkl --vae nan_v.pt", "expected finite numbers"),
        (f"train-controller {V} --mdnrnn big_m.pt", "expected a MDN-RNN for 64 latents as in v.pt, found one for 128"),
        (f"train-controller {V} --mdnrnn moved_m.pt", "found one trained on another VAE's"),
        (f"train-controller --vae complex_v.pt {M}", "m.pt: actions: expected COMPLEX_MOVEMENT as in complex_v.pt"),
        (f"train-controller {V} {M} --population-size 2", "population_size: expected at least 4, found 2"),
        (f"train-controller {V} {M} --temperature -1", "temperature: expected 0 to 10, found -1.0"),
        ("evaluate", "expected one agent"),
        (f"evaluate {V}", "expected --mdnrnn, --controller beside --vae"),
        (f"evaluate {V} {M} {C} --ppo text", "expected one agent"),
        (f"evaluate {V} {M} --controller thin_c.pt", "hidden_size: expected 95 as in the MDN-RNN, found 87"),
        (f"evaluate --vae thin_v.pt --mdnrnn thin_m.pt {C}", "hidden_size: expected 87 as in the MDN-RNN, found 95"),
        ("evaluate --ppo none", "none.pt: expected a ppo checkpoint, found no such file"),
        ("evaluate --ppo text.pt", "text.pt: expected a ppo checkpoint, found a file that is not"),
        ("evaluate --ppo c.pt", "c.pt: expected a ppo checkpoint, found a controller checkpoint"),
        ("evaluate --ppo none.zip --trust", "none.zip: expected a stable-baselines3 archive, found no such file"),
        ("evaluate --ppo stranger.zip", "stranger.zip: expected --trust beside a stable-baselines3 archive"),
        ("collect --policy stranger.zip", "stranger.zip: expected --trust beside a stable-baselines3 archive"),
        (
            "evaluate --ppo text.zip --trust",
            "text.zip: expected a stable-baselines3 archive, found a file that is not a .zip",
        ),
        ("evaluate --ppo stranger.zip --trust", "stranger.zip: expected a stable-baselines3 archive, found another"),
        ("evaluate --policy right --env SuperMarioBros-1-1-v7", "env: expected SuperMarioBros-"),
        ("ppo --batch-size 100 --rollout-steps 8 --environments 2", "batch_size: expected at most"),
        ("ppo --env Pong-v0", "env: expected SuperMarioBros-"),
        ("rom --rom wrong.nes", "expected SHA-1"),
        ("run --rounds 0", "rounds: expected at least 1, found 0"),
    ],
)
def test_one_line_and_status_two(there: Path, capsys: pytest.CaptureFixture[str], line: str, says: str) -> None:
    before = snapshot(there)
    command = line.split()[0]
    kept = "kept.pkl" if command == "collect" else "kept.zip" if command == "ppo" else "kept.pt"
    output = ["--output", kept] if command in WRITES else []
    assert cli.main([*line.split(), *output]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.err[:-1].isprintable()
    assert "Traceback" not in said.err
    assert snapshot(there) == before


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_that_cannot_be_written(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (there / "file").write_text("in the way")
    assert cli.main(["train-vae", "--preset", "debug", "--dataset", "d.pkl", "--output", "file/v.pt"]) == 2
    said = capsys.readouterr().err
    assert "file/v.pt.lock: cannot be written" in said
    assert said.count("\n") == 1

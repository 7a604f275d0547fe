"""Files written whole, checkpoints read with suspicion, logs and videos."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
from pathlib import Path
from queue import Queue

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

from mario_world_model.checkpoints import load_vae, load_world_model
from mario_world_model.config import TrainVAEConfig
from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole
from mario_world_model.utils.checkpoint import Checkpoint, fill_weights, load_checkpoint, save_checkpoint
from mario_world_model.utils.lock import sole_writer
from mario_world_model.utils.tracking import Tracker
from mario_world_model.utils.video import enlarge, side_by_side, write_video
from tests.world import save_world, small_world


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), written_whole(path) as temporary:
        temporary.write_text(f"half of it {1 / 0}")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with written_whole(path) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"


def saved(path: Path, **tensors: torch.Tensor) -> Checkpoint:
    checkpoint = Checkpoint("vae", {"size": 3}, tensors, {"dataset": "abc"})
    save_checkpoint(path, checkpoint)
    return checkpoint


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    written = saved(tmp_path / "v.pt", a=torch.randn(3), b=torch.arange(4))
    read = load_checkpoint(tmp_path / "v.pt", "vae")
    assert torch.equal(read.tensors["a"], written.tensors["a"])
    assert read.config == {"size": 3}
    assert read.provenance == {"dataset": "abc"}
    assert read.fingerprint == written.fingerprint
    assert read.fingerprint != saved(tmp_path / "w.pt", a=torch.randn(3), b=torch.arange(4)).fingerprint


class _Payload:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._target,)


def test_a_checkpoint_that_would_run_code_runs_none(tmp_path: Path) -> None:
    torch.save({"format": "mario-world-model", "tensors": _Payload(tmp_path / "ran")}, tmp_path / "v.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(_Payload(tmp_path / "ran")))
    for name in ("v.pt", "raw.pt"):
        with pytest.raises(InputError, match="found a file that is not one"):
            load_checkpoint(tmp_path / name, "vae")
    assert not (tmp_path / "ran").exists()


def test_values_that_hold_each_other_are_refused(tmp_path: Path) -> None:
    itself: list[object] = []
    itself.append(itself)
    laughs: list[object] = []
    for _ in range(25):
        laughs = [laughs] * 10
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    for provenance in ({"a": itself}, {"a": laughs}, {"a": deep}):
        save_checkpoint(tmp_path / "v.pt", Checkpoint("vae", {}, {}, provenance))
        with pytest.raises(InputError, match="not admitted"):
            load_checkpoint(tmp_path / "v.pt", "vae")


def test_one_tensor_under_hundreds_of_names_is_refused(tmp_path: Path) -> None:
    numbers = torch.zeros(100_000)
    saved(tmp_path / "v.pt", **{f"n{name}": numbers for name in range(300)})  # 120 MB to hash, in 430 kB
    with pytest.raises(InputError, match="share so much"):
        load_checkpoint(tmp_path / "v.pt", "vae")
    saved(tmp_path / "v.pt", a=numbers, b=numbers, c=numbers)  # as PPO's networks do
    assert len(load_checkpoint(tmp_path / "v.pt", "vae").tensors) == 3


def test_weights_must_be_the_networks_own(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 3)
    sound = network.state_dict()
    for tensors, says in (
        ({"weight": sound["weight"]}, "expected a tensor 'bias', found none"),
        ({**sound, "weight": torch.zeros(2, 2)}, r"weight: expected torch.float32 \(3, 2\), found .* \(2, 2\)"),
        ({**sound, "bias": sound["bias"].double()}, "found torch.float64"),
        ({**sound, "more": torch.zeros(1)}, "found a tensor 'more'"),
    ):
        with pytest.raises(InputError, match=says):
            fill_weights(network, tensors, tmp_path / "n.pt")
    fill_weights(network, sound, tmp_path / "n.pt")


def test_the_log_holds_scalars_settings_and_tensorboard_events(tmp_path: Path) -> None:
    with Tracker(tmp_path, "vae", TrainVAEConfig()) as tracker:
        tracker.scalars(3, held_out__loss=1.5)
        tracker.picture(3, "reconstructions", np.zeros((4, 4, 3), dtype=np.uint8))
    line = json.loads((tracker.folder / "scalars.jsonl").read_text())
    assert line["step"] == 3
    assert line["held_out/loss"] == 1.5
    assert json.loads((tracker.folder / "config.json").read_text())["batch_size"] == 64
    assert list(tracker.folder.glob("events.out.tfevents.*"))


def test_a_full_disk_is_told_once_however_late_tensorboard_finds_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full:
        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with Tracker(tmp_path, "vae", TrainVAEConfig()):
        pass
    events: Queue[bytes] = Queue()
    events.put(b"one")
    late = _AsyncWriterThread(events, Full(), 0)
    late.start()
    late.join(5)
    assert not late.is_alive()
    assert capsys.readouterr().err == ""


def test_a_log_goes_on_only_among_the_logs(tmp_path: Path) -> None:
    with Tracker(tmp_path / "logs", "vae", TrainVAEConfig()) as first:
        first.scalars(1, loss=1.0)
    with Tracker(tmp_path / "logs", "vae", TrainVAEConfig(), earlier=(first.folder, 1)) as second:
        assert second.folder == first.folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text("mine")
    with Tracker(tmp_path / "logs", "vae", TrainVAEConfig(), earlier=(elsewhere, 1)) as third:
        assert third.folder.parent == first.folder.parent
    assert [path.name for path in elsewhere.iterdir()] == ["config.json"]
    assert (elsewhere / "config.json").read_text() == "mine"


def test_a_video_plays_back_what_was_written(tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), shade, dtype=np.uint8) for shade in (20, 120, 220)]
    write_video(tmp_path / "v.mp4", frames, fps=15)
    played = iio.imread(tmp_path / "v.mp4", plugin="pyav")
    assert played.shape == (3, 64, 96, 3)
    # H.264 is lossy: a few levels of a flat shade.
    assert np.abs(played.mean(axis=(1, 2, 3)) - [20, 120, 220]).max() < 6


def test_pictures_are_put_together_pixel_by_pixel() -> None:
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert enlarge(small, 2)[:2, :2].reshape(4, 3).tolist() == [[0, 1, 2]] * 4
    assert side_by_side([small, small], gap=1).shape == (2, 5, 3)


def test_a_network_larger_than_its_file_is_not_built(tmp_path: Path) -> None:
    world = small_world()
    save_world(tmp_path, world)
    saved = load_checkpoint(tmp_path / "v.pt", "vae")
    saved.config["vae"] |= {"latent_size": 4096, "widths": [4096, 4096, 4096]}  # gigabytes
    save_checkpoint(tmp_path / "v.pt", saved)
    with pytest.raises(InputError, match=r"expected torch\.float32 .*, found torch\.float32"):
        load_vae(tmp_path / "v.pt")


def test_start_states_without_a_dimension_are_refused(tmp_path: Path) -> None:
    save_world(tmp_path, small_world())
    saved = load_checkpoint(tmp_path / "m.pt", "mdn_rnn")
    saved.tensors["starts.lengths"] = torch.zeros((), dtype=torch.int64)
    save_checkpoint(tmp_path / "m.pt", saved)
    with pytest.raises(InputError, match="expected start states"):
        load_world_model(tmp_path / "v.pt", tmp_path / "m.pt")


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.pt", "other.pt"):
        saved(tmp_path / name, a=torch.arange(3))
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_a_lock_that_could_not_be_signed_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mario_world_model.utils.lock.os.write", full)
    with pytest.raises(InputError, match="No space left"), sole_writer(tmp_path / "v.pt"):
        pass
    monkeypatch.undo()
    with sole_writer(tmp_path / "v.pt"):
        pass


@pytest.mark.parametrize("content", ["[[package]]", "12 years of work", "1" * 40])
def test_a_file_that_is_no_lock_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "poetry.lock").write_text(content)
    with pytest.raises(InputError, match="expected the lock of a run"), sole_writer(tmp_path / "poetry"):
        pass
    assert (tmp_path / "poetry.lock").read_text() == content


def test_a_lock_that_lost_its_content_with_the_power_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "v.pt.lock").write_bytes(bytes(5))
    with sole_writer(tmp_path / "v.pt"):
        assert (tmp_path / "v.pt.lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("12")
    (tmp_path / "v.pt.lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(InputError, match=r"v\.pt\.lock: cannot be written"), sole_writer(tmp_path / "v.pt"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "12"


def test_a_file_system_without_locks_is_not_taken_for_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("mario_world_model.utils.lock._take", without)
    with pytest.raises(InputError, match="No locks available"), sole_writer(tmp_path / "v.pt"):
        pass


@pytest.mark.parametrize("stem", ["v", "v[1]", "v*"])
def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path, stem: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    others = [tmp_path / f".{stem}.{os.getpid()}.tmp.pt", tmp_path / f".w.{gone.pid}.tmp.pt", tmp_path / ".v.x.tmp"]
    left = [tmp_path / f".{stem}.{number}.tmp.pt" for number in (gone.pid, 2**32 + 1)]
    for path in (*others, *left):
        path.write_text("half of it")
    with sole_writer(tmp_path / f"{stem}.pt"):
        assert sorted(tmp_path.glob(".*")) == sorted(others)

"""A disk that is full at every write in turn: the former checkpoint loads, and one line names the folder.

    python -m tests.faults.full_disk

As root it fills a small file system of its own (tmpfs); otherwise, or with --limit, the size of files is limited, which
fails in the same place with another message.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mario_world_model import cli
from mario_world_model.checkpoints import load_vae
from mario_world_model.errors import InputError
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.pickle_file import write_pickle
from tests.rollouts.episodes import made_up_episode

_BLOCK = 4096
_TRAIN = (
    "train-vae --preset debug --device cpu --architecture flat --latent-size 8 --no-landmarks --no-enemy-map "
    "--dataset {data} --output {folder}/v.pt --logs {folder}/logs --save-every 0"
)
_AGAIN = _TRAIN + " --learning-rate 0.002"


@dataclasses.dataclass
class Figures:
    """What became of the commands."""

    way: str
    tried: int = 0
    failed: int = 0
    one_line: int = 0
    sound: int = 0
    """Former checkpoints that still load after a failure."""
    recovered: int = 0

    def __str__(self) -> str:
        return (
            f"full disk ({self.way}): {self.tried} sizes, {self.failed} commands that found no space, "
            f"{self.one_line} said so in one line that names the folder, {self.sound} former checkpoints load, "
            f"{self.recovered} ended well once there was space"
        )


def say(line: str) -> tuple[int, str]:
    """Run a command here; its status and what it said on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(line.split())
    return status, said.getvalue()


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        # Lazily: a log that could not be closed on the full disk may still be open.
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@contextlib.contextmanager
def nearly_full(folder: Path, free: int) -> Iterator[None]:
    """Leave `free` bytes of a file system."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(_BLOCK))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    with ballast.open("r+b") as file:
        file.truncate(max(0, ballast.stat().st_size - free))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def files_limited(size: int) -> Iterator[None]:
    """No file may grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def judge(figures: Figures, folder: Path, data: Path) -> None:
    """Count what a command that found no space left behind; called while there is none, and again after."""
    status, said = say(_AGAIN.format(folder=folder, data=data))
    figures.tried += 1
    if status == 0:
        return
    figures.failed += 1
    one_line = said.count("\n") == 1 and str(folder) in said and status == 2
    figures.one_line += one_line
    if not one_line:
        print(f"status {status}: {said}", flush=True)
    with contextlib.suppress(InputError):
        figures.sound += load_vae(folder / "v.pt").fingerprint != ""


def on_small_disk(temporary: Path, data: Path, step: int) -> Figures:
    """Every size from nothing to enough, `step` bytes apart."""
    figures = Figures("tmpfs")
    with small_disk(temporary / "disk", 8_000_000) as folder:
        before = shutil.disk_usage(folder).free
        assert say(_TRAIN.format(folder=folder, data=data))[0] == 0
        most = 3 * (before - shutil.disk_usage(folder).free)
        kept = (folder / "v.pt").read_bytes()
        for free in range(0, most, step):
            with nearly_full(folder, free):
                judge(figures, folder, data)
            figures.recovered += say(_AGAIN.format(folder=folder, data=data))[0] == 0
            shutil.rmtree(folder / "logs", ignore_errors=True)
            (folder / "v.pt").write_bytes(kept)
    return figures


def with_limited_files(temporary: Path, data: Path, step: int) -> Figures:
    """Every largest file from nothing to enough, `step` bytes apart."""
    figures = Figures("limited files")
    folder = temporary / "limited"
    folder.mkdir()
    assert say(_TRAIN.format(folder=folder, data=data))[0] == 0
    kept = (folder / "v.pt").read_bytes()
    for largest in range(0, 4 * len(kept), step):
        with files_limited(largest):
            judge(figures, folder, data)
        figures.recovered += say(_AGAIN.format(folder=folder, data=data))[0] == 0
        (folder / "v.pt").write_bytes(kept)
    return figures


def main() -> int:
    """The command line; the exit status is 1 where a fault cost more than one line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--step", type=int, default=_BLOCK, help="bytes between two sizes")
    flags.add_argument("--limit", action="store_true", help="limit files even where a file system could be mounted")
    options = flags.parse_args()
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        data = temporary / "d.pkl"
        write_pickle(data, [made_up_episode(index, steps=20) for index in range(4)])
        open_dataset(data)
        mounts = not options.limit and os.geteuid() == 0 and sys.platform == "linux"
        figures = (on_small_disk if mounts else with_limited_files)(temporary, data, options.step)
    print(figures)
    return int(not figures.failed == figures.one_line == figures.sound or figures.recovered < figures.tried)


if __name__ == "__main__":
    sys.exit(main())

"""Pull the plug in the middle of every stage, again and again, and compare what comes out in the end.

    python -m tests.faults.kills --kills 200

Every stage is run once undisturbed. Then the same command is started and killed (SIGKILL) after a random time, and
started again, until it ends by itself; its files must have the SHA-256 of the undisturbed run's. This goes on until
a stage has been killed often enough. The figures say how many kills found something to lose, and how many fell into a
write.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mario_world_model import cli

_SMALL = "--preset debug --device cpu --save-every 0.05"
_LARGE = "--preset debug --device cpu --save-every 0.2"  # V's state has 16 MB

STAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    # name: the command, and the outputs that must be the same; all commands run in one folder in this order.
    "collect": (
        "collect --policy explore --episodes 40 --max-steps 8 --workers 2 --output rollouts.pkl",
        ("rollouts.pkl",),
    ),
    "train-vae": (
        f"train-vae {_LARGE} --dataset rollouts.pkl --epochs 3 --batch-size 8 --output v.pt",
        ("v.pt",),
    ),
    "train-mdn-rnn": (
        f"train-mdn-rnn {_SMALL} --dataset rollouts.pkl --vae v.pt --epochs 12 --output m.pt",
        ("m.pt",),
    ),
    "train-controller": (
        f"train-controller {_SMALL} --vae v.pt --mdnrnn m.pt --iterations 40 --population-size 8 "
        "--starts-per-candidate 8 --horizon 12 --output c.pt",
        ("c.pt", "c.path.pt"),
    ),
    "ppo": (
        "ppo --preset debug --device cpu --save-every 0.05 --timesteps 256 --environments 2 --workers 1 --output p",
        ("p.pt",),
    ),
    "run": (
        "run --preset debug --device cpu --workers 2 --output run",
        ("run/vae_mario.pt", "run/mdn_rnn_mario.pt", "run/controller_mario.pt", "run/rollouts"),
    ),
}


@dataclass
class Figures:
    """What became of one stage."""

    stage: str
    kills: int = 0
    at_work: int = 0
    """Kills after which something of the run was there to go on from."""
    writing: int = 0
    """Kills that left a half-written file."""
    finished: int = 0
    different: int = 0
    orphans: int = 0
    """Processes that lived five seconds longer than the killed one that had started them."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.stage}: {self.kills} kills in {self.finished} runs, {self.at_work} with something to lose, "
            f"{self.writing} in a write; {self.different} with other bytes than the undisturbed run, "
            f"{self.orphans} orphans ({self.seconds:.0f} s)"
        )


def start(line: str, folder: Path) -> int:
    """Begin a command in a process of its own, in a folder; returns the process id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        with (folder / "said.txt").open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            status = cli.main(line.split())
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(status)


def wait(process: int) -> int:
    """The exit status of a process; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def run(line: str, folder: Path) -> float:
    """Run a command undisturbed; the seconds it took."""
    begun = time.monotonic()
    status = wait(start(line, folder))
    if status:
        raise RuntimeError(f"{line}: status {status}: {(folder / 'said.txt').read_text()}")
    return time.monotonic() - begun


def run_killed(line: str, folder: Path, took: float, figures: Figures, most: int, luck: random.Random) -> None:
    """Run a command that takes `took` seconds and is killed on the way, until `most` kills have come together."""
    begun_with = set(folder.rglob("*"))
    while True:
        process = start(line, folder)
        if figures.kills < most:
            time.sleep(luck.uniform(0.0, max(0.3, took * luck.choice((0.3, 1.0, 1.0)))))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        status = wait(process)
        if status == 0:
            return
        if status != -signal.SIGKILL:
            raise RuntimeError(f"{line}: status {status}: {(folder / 'said.txt').read_text()}")
        figures.kills += 1
        figures.orphans += len(survivors(process))
        left = set(folder.rglob("*")) - begun_with
        figures.at_work += any(".resume" in path.name or path.name == "collection.json" for path in left)
        figures.writing += any(".tmp" in path.name for path in left)


def survivors(group: int) -> list[str]:
    """Processes that a killed one has left after five seconds."""
    until = time.monotonic() + 5.0
    while (left := members(group)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def members(group: int) -> list[str]:
    """Processes of a process group that are not dead yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, owner = stat.read_text().rpartition(")")[2].split()[:3]
            if owner == str(group) and state != "Z":
                found.append(stat.parent.name)
    return found


def digests(folder: Path, names: Sequence[str]) -> list[str]:
    """SHA-256 of some files, and of all files in some folders."""
    files = [file for name in names for file in sorted((folder / name).rglob("*")) or [folder / name]]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def killed_stages(stages: Sequence[str], kills: int, seed: int) -> Iterator[Figures]:
    """Kill each of some stages `kills` times; earlier stages than these are only run."""
    for module in ("torch._dynamo", *sorted(command for command, _ in cli.COMMANDS.values())):
        importlib.import_module(module)  # once, here, so that a start costs nothing; the first comes with an optimiser
    luck = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        sound = Path(temporary) / "sound"
        sound.mkdir()
        for stage, (line, outputs) in STAGES.items():
            before = Path(temporary) / f"before-{stage}"
            shutil.copytree(sound, before)
            took = run(line, sound)
            if stage not in stages:
                continue
            figures = Figures(stage)
            begun = time.monotonic()
            while figures.kills < kills:
                disturbed = Path(temporary) / "disturbed"
                shutil.copytree(before, disturbed)
                run_killed(line, disturbed, took, figures, kills, luck)
                figures.finished += 1
                figures.different += digests(disturbed, outputs) != digests(sound, outputs)
                shutil.rmtree(disturbed)
            figures.seconds = time.monotonic() - begun
            yield figures


def main() -> int:
    """The command line; the exit status is 1 where a run ended in other bytes or left a process behind."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--kills", type=int, default=200, help="a stage")
    flags.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    flags.add_argument("--seed", type=int, default=0)
    options = flags.parse_args()
    wrong = 0
    for figures in killed_stages(options.stages, options.kills, options.seed):
        print(figures, flush=True)
        wrong += figures.different + figures.orphans
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

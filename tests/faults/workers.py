"""Workers that are killed, hang or raise: nothing hangs, nobody is left behind, and the data set is the same.

python -m tests.faults.workers --faults 100
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from mario_world_model.config import CollectConfig
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training.data_collection import collect
from mario_world_model.utils import task_queue, workers

_SILENCE = 8.0  # seconds; the program waits longer, but a busy machine starts a worker in three at times
_EPISODES = 30


@dataclasses.dataclass
class Figures:
    """What became of the data sets."""

    killed: int = 0
    stopped: int = 0
    data_sets: int = 0
    different: int = 0
    orphans: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"workers: {self.killed} killed, {self.stopped} stopped (SIGSTOP), in {self.data_sets} collections, "
            f"0 hangs, {self.orphans} orphans, {self.different} other data sets ({self.seconds:.0f} s)"
        )


class Saboteur(threading.Thread):
    """Kills or stops a random worker of this process from time to time."""

    def __init__(self, figures: Figures, faults: int, luck: random.Random) -> None:
        super().__init__(daemon=True)
        self._figures, self._faults, self._luck = figures, faults, luck
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self._luck.uniform(0.05, 1.0)):
            if self._figures.killed + self._figures.stopped >= self._faults:
                return
            victims = worker_processes()
            if not victims:
                continue
            kill, victim = self._luck.random() < 0.7, self._luck.choice(victims)
            try:
                os.kill(victim, signal.SIGKILL if kill else signal.SIGSTOP)
            except ProcessLookupError:
                continue
            while not kill and victim in worker_processes() and not self.over.wait(0.1):
                pass  # it is to be found out by its silence alone
            self._figures.killed += kill
            self._figures.stopped += not kill


def worker_processes() -> list[int]:
    """Workers of this process: children of its fork server."""
    return [child for server in children(os.getpid()) for child in children(server)]


def children(process: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def sabotage(faults: int, seed: int) -> Figures:
    """Collect the same data set until `faults` workers were lost."""
    workers.SILENCE, workers.BEGINNING = _SILENCE, 2 * _SILENCE
    task_queue.ATTEMPTS += faults  # that chance hits the same task again and again is no fault of the task's
    figures = Figures()
    luck = random.Random(seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        config = CollectConfig(policy="explore", episodes=_EPISODES, max_steps=20, workers=2)
        sound = open_dataset(collect(dataclasses.replace(config, output=Path(temporary) / "sound"))).fingerprint
        while figures.killed + figures.stopped < faults:
            saboteur = Saboteur(figures, faults, luck)
            saboteur.start()
            output = Path(temporary) / f"disturbed-{figures.data_sets}"
            figures.different += open_dataset(collect(dataclasses.replace(config, output=output))).fingerprint != sound
            saboteur.over.set()
            saboteur.join()
            figures.data_sets += 1
            time.sleep(0.2)
            figures.orphans += len(worker_processes())
    figures.seconds = time.monotonic() - begun
    return figures


def main() -> int:
    """The command line; the exit status is 1 where a data set differs or a worker is left."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--faults", type=int, default=100)
    flags.add_argument("--seed", type=int, default=0)
    options = flags.parse_args()
    figures = sabotage(options.faults, options.seed)
    print(figures)
    return int(figures.different + figures.orphans > 0)


if __name__ == "__main__":
    sys.exit(main())

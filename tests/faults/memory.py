"""Dream for a long time and watch the memory.

    python -m tests.faults.memory --steps 20000000

A straight line is fitted to the resident memory after every generation, the first fifth left out, in which libraries
take what they keep.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mario_world_model.config import DreamConfig
from mario_world_model.models.controller import Controllers
from mario_world_model.training.fitness import DreamFitness
from tests.world import ACTIONS, small_world

_POPULATION, _STARTS = 64, 32
_MOST_SLOPE = 1.0  # MB for a million steps


def resident() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> int:
    """The command line; the exit status is 1 where memory grows."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--steps", type=int, default=20_000_000)
    options = flags.parse_args()
    world = small_world()
    fitness = DreamFitness(world, DreamConfig(), death_cost=0.0)
    generation = _POPULATION * _STARTS * DreamConfig.horizon
    luck = torch.Generator().manual_seed(0)
    begun = time.monotonic()
    memory = []
    for number in range(max(10, options.steps // generation)):
        weights = torch.randn(_POPULATION, ACTIONS, world.features, generator=luck)
        fitness(Controllers(weights, torch.zeros(_POPULATION, ACTIONS), 1.0), _STARTS, number)
        memory.append(resident())
    settled = np.array(memory[len(memory) // 5 :])
    steps = np.arange(len(settled)) * generation / 1e6
    slope = float(np.polyfit(steps, settled, 1)[0])
    print(
        f"memory: {len(memory) * generation / 1e6:.1f} million dream steps, {settled[0]:.0f} MB at first, "
        f"{settled[-1]:.0f} MB at last, {slope:+.3f} MB per million steps ({time.monotonic() - begun:.0f} s)"
    )
    return int(slope > _MOST_SLOPE)


if __name__ == "__main__":
    sys.exit(main())

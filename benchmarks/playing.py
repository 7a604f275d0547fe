"""What a player waits for: one dreamt step and its picture, on one core."""

from __future__ import annotations

import torch

from benchmarks.bench import Bench
from benchmarks.dreaming import shipped_agent
from benchmarks.figures import Figure, Work
from benchmarks.operations import PLAY_FORMULA, decoded_image, dream_step
from benchmarks.paired import median_seconds
from mario_world_model.playground.dreaming import dream_on, see, situation

_STEPS = 50


def measure_playing(bench: Bench) -> None:
    world = shipped_agent().world_model
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    begun = situation(world, 0)

    def play() -> None:
        state = begun
        for step in range(_STEPS):
            state, _ = dream_on(world, state, step % world.mdn_rnn.actions, 1.0, 0, step)
            see(world, state.latents)

    milliseconds = 1e3 * median_seconds(play, bench.repeats) / _STEPS
    torch.set_num_threads(threads)
    measured = f"{1e3 / milliseconds:,.0f} steps and pictures a second"
    what = "a dreamt step and its picture, one core"
    bench.found(Figure("real-time play", what, milliseconds, "ms", 4.0, at_least=False, measured=measured))
    (dreaming, state), (painting, picture) = dream_step(world.mdn_rnn, actions=0, dreams=1), decoded_image(world.vae)
    operations, moved = dreaming + painting, state + picture
    unit = "step and picture, one core"
    bench.works.append(Work("real-time play", unit, operations, moved, 1e3 / milliseconds, PLAY_FORMULA))

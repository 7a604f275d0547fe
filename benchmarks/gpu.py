"""What a GPU does: training of V and M, dreams, and its ceilings, each beside what it is compared with.

    python -m benchmarks.gpu --output logs/gpu.json --into docs/performance.md

A minute and a half; needs CUDA but no ROM. `--results` takes an earlier JSON file instead of measuring.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.dreaming import generation, population, shipped_agent
from benchmarks.machine import describe_machine
from benchmarks.made_up import made_up_episodes, made_up_latents
from benchmarks.paired import Piece, compare
from benchmarks.tables import insert
from benchmarks.updates import Update, mdn_rnn_updates, vae_updates
from mario_world_model.config import DreamConfig, Precision, TrainMDNRNNConfig, TrainVAEConfig, preset_config
from mario_world_model.dream import Dream
from mario_world_model.errors import InputError
from mario_world_model.models.world_model import WorldModel
from mario_world_model.rollouts.frames import FramePool
from mario_world_model.rollouts.sequences import SequencePool
from mario_world_model.utils.devices import CPU

_PRECISIONS: tuple[Precision, Precision] = ("bfloat16", "float32")


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are for a large GPU."""

    side: int = 8192
    """Of square matrices."""
    copied: int = 2**30
    """Bytes."""
    frames: int = 16_384
    steps: int = 100_000
    vae_batches: tuple[int, ...] = (256, 1024)
    mdn_rnn_batches: tuple[int, ...] = (16, 64, 256)
    dreams: tuple[tuple[int, int], ...] = ((256, 64), (96, 16))
    """Candidates and start states."""
    horizon: int = DreamConfig().horizon
    cpu_batch: int = 64
    piece: float = 0.25
    """Seconds of one measurement."""
    turns: int = 5
    few_turns_after: float = 55.0
    """Seconds after which things take turns but once, so that all is done in a minute and a half."""


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--output", type=Path, default=Path("logs/gpu.json"), help="JSON file to write")
    flags.add_argument("--results", type=Path, help="measure nothing, take this JSON file")
    flags.add_argument("--into", type=Path, nargs="+", default=[], help="Markdown files whose marked parts to replace")
    chosen = flags.parse_args()
    try:
        if chosen.results is not None:
            results = json.loads(chosen.results.read_text())
        elif torch.cuda.is_available():
            results = measure(torch.device("cuda"), Sizes())
            chosen.output.parent.mkdir(parents=True, exist_ok=True)
            chosen.output.write_text(json.dumps(results, indent=1) + "\n")
        else:
            raise InputError("benchmarks.gpu: expected a GPU that torch can use through CUDA, found none")
        for document in chosen.into:
            insert(document, results)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(device: torch.device, sizes: Sizes) -> dict[str, Any]:
    """Measure everything on a device."""
    bench = _GPUBench(device, sizes)
    for stage in (_ceilings, _vae, _mdn_rnn, _dreams, _latency):
        stage(bench)
    return {
        "machine": describe_machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cuda": torch.version.cuda,
        "seconds": round(time.monotonic() - bench.begun, 1),
        "gpu": [dataclasses.asdict(found) for found in bench.found],
    }


@dataclass(frozen=True)
class Found:
    """One line of the table: a rate beside another."""

    stage: str
    what: str
    ours: float
    beside: str
    other: float
    unit: str
    ratio: float
    turns: int
    memory: float | None = None
    """Most bytes that torch had on the device meanwhile, of both."""
    busy: float | None = None
    """Per cent of the time in which the GPU did anything, as its driver says of `what`."""


@dataclass
class _GPUBench:
    device: torch.device
    sizes: Sizes
    found: list[Found] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    @property
    def turns(self) -> int:
        return self.sizes.turns if time.monotonic() - self.begun < self.sizes.few_turns_after else 1

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def compare(
        self, stage: str, what: str, ours: Piece, beside: str, other: Piece, unit: str, watch: bool = False
    ) -> None:
        """Measure two things in turn and note them; with `watch`, how busy the GPU is with the first."""
        turns = self.turns
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        both = compare(ours, other, turns)
        memory = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None
        busy = self._busy(ours) if watch else None
        found = Found(stage, what, both.ours, beside, both.other, unit, both.ratio, turns, memory, busy)
        self.found.append(found)
        seconds, used = time.monotonic() - self.begun, "" if busy is None else f", {busy:.0f} % busy"
        rates = f"{both.ours:,.1f} {unit}, {beside} {both.other:,.1f}, {both.ratio:.2f} ×"
        print(f"{seconds:5.1f} s  {stage}: {what} {rates}{used}", flush=True)

    def repeated(self, update: Update, device: torch.device | None = None) -> Piece:
        """A piece of work of about as long as one should be: an update so many times."""
        update()
        self.synchronise()
        begun = time.perf_counter()
        update()
        self.synchronise()
        times = max(1, round(self.sizes.piece / (time.perf_counter() - begun)))

        def several() -> float:
            units = sum(update() for _ in range(times))
            if device != CPU:
                self.synchronise()
            return float(units)

        return several

    def _busy(self, work: Piece) -> float | None:
        """Mean of what the driver says while the work is done for a second; it averages over about as long."""
        said: list[float] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                percent = _utilisation(self.device)
                if percent is not None:
                    said.append(percent)

        watcher = threading.Thread(target=watch)
        watcher.start()
        until = time.monotonic() + 6 * self.sizes.piece
        while time.monotonic() < until:
            work()
        over.set()
        watcher.join()
        return statistics.mean(said[len(said) // 2 :]) if said else None


def _utilisation(device: torch.device) -> float | None:
    """Per cent of the last moments in which the GPU did anything; None where nobody says."""
    if device.type != "cuda":
        return None
    with contextlib.suppress(Exception):  # the driver's library or its binding is not there
        return float(torch.cuda.utilization(device))
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.split()[0])
    return None


def _ceilings(bench: _GPUBench) -> None:
    side, device = bench.sizes.side, bench.device

    def product(dtype: torch.dtype) -> Piece:
        left, right = torch.randn(2, side, side, device=device, dtype=dtype).unbind()
        out = torch.empty_like(left)

        def multiply() -> int:
            torch.mm(left, right, out=out)
            return 1

        several = bench.repeated(multiply)
        return lambda: several() * 2.0 * side**3 / 1e12

    what = f"matrix product, {side} × {side} × {side}"
    bench.compare(
        "ceilings", f"{what}, bfloat16", product(torch.bfloat16), "float32", product(torch.float32), "TFLOP/s"
    )
    here = torch.ones(bench.sizes.copied, dtype=torch.uint8, device=device)
    there = torch.empty_like(here)
    part = torch.ones(bench.sizes.copied // 16, dtype=torch.uint8, pin_memory=device.type == "cuda")

    def copy() -> int:
        there.copy_(here)
        return 1

    def bring() -> int:
        there[: len(part)].copy_(part, non_blocking=True)
        return 1

    copies, brought = bench.repeated(copy), bench.repeated(bring)
    bench.compare(
        "ceilings",
        "copying on the device, read and written",
        lambda: copies() * 2 * len(here) / 1e9,
        "from pinned memory to it",
        lambda: brought() * len(part) / 1e9,
        "GB/s",
    )


def _vae(bench: _GPUBench) -> None:
    sizes, episodes = bench.sizes, made_up_episodes(bench.sizes.frames)
    begun = time.perf_counter()
    pool = FramePool(episodes, bench.device)
    bench.synchronise()
    print(f"{len(pool):,} frames in {time.perf_counter() - begun:.2f} s on the device", flush=True)
    default, paper = (preset_config(TrainVAEConfig, name) for name in ("default", "paper"))
    for batch in sizes.vae_batches:
        ours, half, other = (
            bench.repeated(vae_updates(dataclasses.replace(config, batch_size=batch), pool, bench.device))
            for config in (default, dataclasses.replace(default, precision="bfloat16"), paper)
        )
        what = f"default, batch {batch}"
        bench.compare("V", f"{what}, bfloat16", half, "float32", ours, "images/s", watch=True)
        bench.compare("V", f"{what}, float32", ours, "the layout of 2018, float32", other, "images/s", watch=True)
    with _one_thread():
        few = FramePool(episodes[:1])
        alone = bench.repeated(vae_updates(dataclasses.replace(default, batch_size=sizes.cpu_batch), few, CPU), CPU)
        beside = f"one thread of the CPU, batch {sizes.cpu_batch}"
        bench.compare("V", f"{what}, float32", ours, beside, alone, "images/s")


def _mdn_rnn(bench: _GPUBench) -> None:
    world = shipped_agent().world_model
    size, actions = world.vae.config.latent_size, world.mdn_rnn.actions
    pool = SequencePool(made_up_latents(bench.sizes.steps, size), bench.device)
    for batch in bench.sizes.mdn_rnn_batches:
        half, whole = (
            bench.repeated(
                mdn_rnn_updates(
                    TrainMDNRNNConfig(batch_size=batch, precision=precision), pool, size, actions, bench.device
                )
            )
            for precision in _PRECISIONS
        )
        what = f"default, {batch} sequences of {TrainMDNRNNConfig().sequence_length}"
        bench.compare("M", f"{what}, bfloat16", half, "float32", whole, "steps/s", watch=True)
    with _one_thread():
        few = SequencePool(made_up_latents(2_000, size))
        config = TrainMDNRNNConfig()
        alone = bench.repeated(mdn_rnn_updates(config, few, size, actions, CPU), CPU)
        beside = f"one thread of the CPU, {config.batch_size} sequences"
        bench.compare("M", f"{what}, float32", whole, beside, alone, "steps/s")


def _dreams(bench: _GPUBench) -> None:
    agent, config = shipped_agent(), DreamConfig(horizon=bench.sizes.horizon)
    there = shipped_agent().world_model.to(bench.device)
    for candidates, starts in bench.sizes.dreams:
        for trained in (False, True):
            some = population(agent, candidates, trained)
            ours = generation(there, config, some.to(bench.device), starts)
            kind = "around the shipped controller" if trained else "of a first generation"
            what = f"{candidates} × {starts} dreams of landmarks, {kind}"
            beside = f"the CPU, {torch.get_num_threads()} threads"
            bench.compare("dream", what, ours, beside, generation(agent.world_model, config, some, starts), "steps/s")


def _latency(bench: _GPUBench) -> None:
    """What a player waits for."""
    there = shipped_agent().world_model.to(bench.device)
    with _one_thread():
        ours, other = (bench.repeated(_shown(world)) for world in (there, shipped_agent().world_model))
        what = "one dreamt step and its picture"
        bench.compare("play", what, ours, "one thread of the CPU", other, "steps/s")


def _shown(world: WorldModel) -> Update:
    dream, steps = Dream(world, DreamConfig(), 1, 1), 0
    action = torch.ones(1, 1, dtype=torch.int64, device=world.device)

    def show() -> int:
        nonlocal steps
        if steps % DreamConfig().horizon == 0:
            dream.reset(steps)
        dream.step(action)
        dream.frames().cpu()
        steps += 1
        return 1

    return show


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    sys.exit(main())

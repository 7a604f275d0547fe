"""Every stage's figures beside what they should reach: `make bench`, or `python -m benchmarks [--quick] [--demo]`.

Prints a table and writes the same, with this machine's ceilings, as JSON; `--into` puts its tables into documents.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, scratch_folder
from benchmarks.ceilings import measure_ceilings
from benchmarks.collection import measure_collection
from benchmarks.demo import measure_demo
from benchmarks.dreaming import measure_dreaming, shipped_agent
from benchmarks.emulation import measure_emulation
from benchmarks.evolving import measure_evolving
from benchmarks.growth import measure_growth
from benchmarks.loading import measure_loading
from benchmarks.machine import describe_machine
from benchmarks.memory_model import measure_memory_model
from benchmarks.playing import measure_playing
from benchmarks.starting import measure_starting
from benchmarks.tables import insert
from benchmarks.vision import measure_vision

STAGES: dict[str, Callable[[Bench], None]] = {
    "emulation": measure_emulation,
    "collection": measure_collection,
    "vae": measure_vision,
    "mdn-rnn": measure_memory_model,
    "loading": measure_loading,
    "dream": measure_dreaming,
    "cma-es": measure_evolving,
    "play": measure_playing,
    "start": measure_starting,
}


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--quick", action="store_true", help="3 turns instead of 9: two minutes")
    flags.add_argument("--demo", action="store_true", help="and the whole demo run, ten minutes more")
    flags.add_argument("--growth", type=Path, help="measure how cost grows too, and draw it into this folder")
    flags.add_argument("--only", nargs="+", choices=STAGES, default=list(STAGES), help="some stages")
    flags.add_argument("--output", type=Path, default=Path("logs/bench.json"), help="JSON file to write")
    flags.add_argument("--results", type=Path, help="measure nothing, take this JSON file")
    flags.add_argument("--into", type=Path, nargs="+", default=[], help="Markdown files whose marked parts to replace")
    chosen = flags.parse_args()
    if chosen.results is None:
        results = measure(chosen.only, chosen.quick, chosen.demo, chosen.growth)
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(json.dumps(results, indent=1) + "\n")
    else:
        results = json.loads(chosen.results.read_text())
    for document in chosen.into:
        insert(document, results)


def measure(stages: list[str], quick: bool, demo: bool, growth: Path | None) -> dict[str, Any]:
    """Measure stages, and the machine with them."""
    with scratch_folder() as scratch:
        bench = Bench(quick, Path(scratch))
        ceilings = measure_ceilings(shipped_agent().world_model.mdn_rnn, bench.repeats)
        print(f"matrix product {ceilings.square:.1f} GFLOP/s, copying {ceilings.copying:.1f} GB/s", flush=True)
        for stage in stages:
            STAGES[stage](bench)
        if demo:
            measure_demo(bench)
        return {
            "machine": describe_machine(),
            "repeats": bench.repeats,
            "ceilings": dataclasses.asdict(ceilings),
            "figures": [figure.plain() for figure in bench.figures],
            "work": [work.plain(ceilings) for work in bench.works],
            "growth": measure_growth(bench, growth) if growth is not None else [],
        }


if __name__ == "__main__":
    main()

"""`make bench`, or `python -m benchmarks [--quick] [--output PATH]`: a table, and the same as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from benchmarks.rows import all_rows


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--quick", action="store_true", help="3 repeats instead of 9")
    flags.add_argument("--output", type=Path, default=Path("logs/bench.json"), help="JSON file to write")
    chosen = flags.parse_args()
    rows = []
    print(f"{'stage':18} {'unit/s':>14} {'ours':>10} {'other':>10} {'ratio':>8}  compared with")
    for row in all_rows(3 if chosen.quick else 9):
        rows.append(row)
        print(
            f"{row.stage:18} {row.unit:>14} {row.ours:10.0f} {row.other:10.0f} {row.ratio:7.1f}×  {row.other_name}",
            flush=True,
        )
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()

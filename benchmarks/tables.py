"""The tables that a benchmark's JSON becomes, and their way into a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mario_world_model.errors import InputError
from mario_world_model.utils.atomic import written_whole

_MARK = re.compile(r"(<!-- bench (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def insert(document: Path, results: dict[str, Any]) -> None:
    """Replace what stands between `<!-- bench NAME -->` and `<!-- /bench -->` by the table of that name.

    Tables of what was not measured stay as they are. Raises InputError for a document without any, or with the name of
    no table.
    """
    text = document.read_text()
    names = [name for _, name, _ in _MARK.findall(text)]
    strange = [name for name in names if name not in TABLES]
    if strange or not names:
        expected = ", ".join(TABLES)
        raise InputError(f"{document}: expected <!-- bench NAME --> with NAME one of {expected}, found {strange}")

    def table(mark: re.Match[str]) -> str:
        if _SOURCES.get(mark[2], mark[2]) not in results:
            return mark[0]
        return f"{mark[1]}{chr(10).join(TABLES[mark[2]](results))}\n{mark[3]}"

    with written_whole(document) as temporary:
        temporary.write_text(_MARK.sub(table, text))


def shortened(value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _figures(results: dict[str, Any]) -> Iterator[str]:
    """Every figure."""
    yield from _table(
        ["stage", "what, and beside what", "measured", "", "to reach", "reached"],
        [
            [row["stage"], row["what"], row["measured"], *_value_and_aim(row), "yes" if row["reached"] else "no"]
            for row in results["figures"]
        ],
    )
    yield from ("", _machine(results))


def _short(results: dict[str, Any]) -> Iterator[str]:
    """Figures alone."""
    rows = [[row["stage"], row["what"], _value_and_aim(row)[0]] for row in results["figures"]]
    yield from _table(["stage", "", ""], rows)
    yield from ("", _machine(results))


def _ceilings(results: dict[str, Any]) -> Iterator[str]:
    ceilings = results["ceilings"]
    rows = [["matrix product, 2048 × 2048 × 2048", f"{ceilings['square']:.1f} GFLOP/s"]]
    rows += [[f"matrix product, {name}", f"{rate:.1f} GFLOP/s"] for name, rate in ceilings["dream_shapes"].items()]
    rows.append(["copying, read and written", f"{ceilings['copying']:.1f} GB/s"])
    yield from _table(["ceiling", "measured"], rows)


def _work(results: dict[str, Any]) -> Iterator[str]:
    header = ["stage", "a unit", "operations", "bytes", "units/s", "of the matrix product", "of copying", "formula"]
    rows = [
        [
            one["stage"],
            one["unit"],
            f"{one['operations'] / 1e6:.2f} M" if one["operations"] else "–",
            f"{one['moved'] / 1e3:.1f} k",
            shortened(one["rate"]),
            f"{one['share_of_products']:.0%}" if one["operations"] else "–",
            f"{one['share_of_copying']:.1%}",
            one["formula"],
        ]
        for one in results["work"]
    ]
    yield from _table(header, rows)


def _growth(results: dict[str, Any]) -> Iterator[str]:
    """The drawings, with what they show."""
    for curve in results["growth"]:
        yield from (f"![{curve['caption']}]({curve['file']})", "", f"*{curve['caption']}*", "")


def _gpu(results: dict[str, Any]) -> Iterator[str]:
    """What a GPU does beside what it is compared with."""
    rows = [
        [
            row["stage"],
            row["what"],
            f"{shortened(row['ours'])} {row['unit']}",
            row["beside"],
            f"{shortened(row['other'])} {row['unit']}",
            f"{shortened(row['ratio'])} ×",
            "–" if row["memory"] is None else f"{row['memory'] / 1e9:.2f} GB",
            "–" if row["busy"] is None else f"{row['busy']:.0f} %",
        ]
        for row in results["gpu"]
    ]
    yield from _table(["stage", "what", "measured", "beside", "measured", "", "memory", "GPU busy"], rows)
    machine, turns = results["machine"], sorted({row["turns"] for row in results["gpu"]})
    many = " or ".join(map(str, turns))
    yield from ("", f"{results['device']}, {_hardware(machine)}, CUDA {results['cuda']}; median of {many} turns.")


def _value_and_aim(row: dict[str, Any]) -> tuple[str, str]:
    bound = "≥" if row["at_least"] else "≤"
    return f"{shortened(row['value'])} {row['unit']}", f"{bound} {shortened(row['reach'])} {row['unit']}"


def _machine(results: dict[str, Any]) -> str:
    return f"{_hardware(results['machine'])}; median of {results['repeats']} turns."


def _hardware(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['threads']} threads of torch {machine['torch']}"
    )


TABLES = {"figures": _figures, "short": _short, "ceilings": _ceilings, "work": _work, "growth": _growth, "gpu": _gpu}
"""By the name that a document calls them by."""
_SOURCES = {"short": "figures"}  # of what a table is made where that has another name

"""A document as Markdown, its pictures as files beside it, its tables as CSV too."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from mario_world_model.report.charts import standalone
from mario_world_model.report.document import Block, Code, Document, Figure, Table, Text
from mario_world_model.report.heat_map import STYLE as LEVEL_STYLE
from mario_world_model.utils.atomic import written_whole

# What a spreadsheet would compute; a signed number is itself.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d[\d.,]*( ?[%A-Za-z]+)?$)")

FIGURES = "figures"
TABLES = "tables"


def to_markdown(document: Document, folder: str = "") -> str:
    """The whole text; pictures are looked for in `folder`/figures."""
    lines = [f"# {document.title}", "", *(f"- {one}" for one in document.lead), ""]
    for section in document.sections:
        lines += [f"## {section.title}", ""]
        for block in section.blocks:
            lines += [*_block(block, folder), ""]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block, folder: str) -> Iterator[str]:
    if isinstance(block, Text):
        yield block.text
    elif isinstance(block, Code):
        yield from ("```", block.text.rstrip(), "```")
    elif isinstance(block, Table):
        yield from table_lines(block)
    else:
        path = "/".join(filter(None, (folder, FIGURES, f"{block.name}.{block.ending}")))
        mark = "" if block.ending == "mp4" else "!"
        yield f"{mark}[{block.caption}]({path})"
        if mark:
            yield from ("", f"*{block.caption}*")


def table_lines(table: Table) -> Iterator[str]:
    """A table with its caption."""
    yield from (table.caption, "")
    yield f"| {' | '.join(table.header)} |"
    yield f"|{'---|' * len(table.header)}"
    for row in table.rows:
        yield f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |"


def to_csv(table: Table) -> str:
    """A table for a spreadsheet, which is kept from taking the words of others for formulas."""
    text = io.StringIO()
    rows = ([f"'{cell}" if _FORMULA.match(cell) else cell for cell in row] for row in (table.header, *table.rows))
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_parts(document: Document, folder: Path) -> None:
    """Figures and tables as files of their own."""
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                content = block.content
                if isinstance(content, str):
                    level = content.startswith('<svg class="level"')
                    style = f"><style>{LEVEL_STYLE}</style>"
                    content = (content.replace(">", style, 1) if level else standalone(content)).encode()
                with written_whole(folder / FIGURES / f"{block.name}.{block.ending}") as temporary:
                    temporary.write_bytes(content)
            elif isinstance(block, Table):
                with written_whole(folder / TABLES / f"{block.name}.csv") as temporary:
                    temporary.write_text(to_csv(block))

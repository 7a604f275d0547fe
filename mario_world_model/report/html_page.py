"""A document as one HTML file that asks for nothing else."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from pathlib import Path

from mario_world_model.report import charts, heat_map
from mario_world_model.report.document import Block, Code, Document, Figure, Section, Table, Text

_CSS = Path(__file__).parent / "static" / "report.css"
_KINDS = {"png": "image/png", "mp4": "video/mp4"}


def to_html(document: Document) -> str:
    """The whole file; nothing in it is fetched, and nothing runs."""
    style = f"{_CSS.read_text()}{charts.STYLE}{heat_map.STYLE}"
    links = "".join(f'<li><a href="#{_anchor(one)}">{html.escape(one.title)}</a></li>' for one in document.sections)
    lead = "".join(f"<li>{html.escape(one)}</li>" for one in document.lead)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whoever reads it can see that it asks for nothing.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:; media-src data:">\n'
        f'<title>{html.escape(document.title)}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n'
        f'</head>\n<body>\n<h1>{html.escape(document.title)}</h1>\n<ul class="lead">{lead}</ul>\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>\n'
        + "\n".join(part for section in document.sections for part in _section(section))
        + "\n</main>\n</body>\n</html>\n"
    )


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{_anchor(section)}">\n<h2>{html.escape(section.title)}</h2>'
    yield from map(_block, section.blocks)
    yield "</section>"


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Code):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, Table):
        return _table(block)
    return _figure(block)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(one)}</th>' for one in table.header)
    rows = []
    for first, *rest in table.rows:
        cells = "".join(f"<td>{html.escape(one)}</td>" for one in rest)
        rows.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
    caption = html.escape(table.caption)
    # Reachable by keyboard, since it scrolls on a narrow page.
    return (
        f'<figure class="wide"><figcaption>{caption}</figcaption><div class="table" tabindex="0" role="region" '
        f'aria-label="{caption}"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></figure>'
    )


def _figure(figure: Figure) -> str:
    caption = html.escape(figure.caption)
    if isinstance(figure.content, str):
        picture = figure.content
    else:
        address = f"data:{_KINDS[figure.ending]};base64,{base64.b64encode(figure.content).decode()}"
        if figure.ending == "mp4":
            picture = f'<video controls muted loop playsinline src="{address}" aria-label="{caption}"></video>'
        else:
            picture = f'<img src="{address}" alt="{caption}">'
    return f"<figure{' class=wide' if figure.wide else ''}>{picture}<figcaption>{caption}</figcaption></figure>"

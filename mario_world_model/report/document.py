"""What a report is made of, before it is HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """A paragraph; no markup in it."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines to be typed, or to be read as they are."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text, and a name for the CSV file that they are also written to."""

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A picture: an SVG drawing as text, or a PNG or an MP4 as bytes."""

    name: str
    caption: str
    content: str | bytes
    ending: str = "svg"
    """svg, png or mp4."""
    wide: bool = False
    """Whether it is worth the whole width of a page."""


Block = Text | Code | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    lead: Sequence[str]
    """Its findings, one sentence each."""
    sections: Sequence[Section]

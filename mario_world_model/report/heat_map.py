"""Where an agent dies, and how far it comes, drawn over the level."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import numpy as np

from mario_world_model.emulation.truth import HIGHEST_GRAVE
from mario_world_model.evaluation.episodes import COLUMN, EpisodeScore
from mario_world_model.report.level_map import LevelMap, png

ROWS = 4
"""Pieces that a level is cut into, one below the other: whole it would be a thread on a phone."""
_STRIP, _GAP = 30, 16  # heights of the strip of coverage, and of the space below it

STYLE = (
    "svg.level{font:15px system-ui,sans-serif}svg.level .death{fill:#ff0033;fill-opacity:.4;stroke:#5c0012;"
    "stroke-width:.8}svg.level .reach{fill:#0072b2}svg.level .ground{fill:#dcdcdc}svg.level text{fill:#1b1b1b}"
    "svg.level image{image-rendering:pixelated}"
    "@media screen and (prefers-color-scheme:dark){svg.level .reach{fill:#56b4e9}svg.level .ground{fill:#3a3a3a}"
    "svg.level text{fill:#ececec}}"
)


def pieces(level: LevelMap) -> list[str]:
    """The level cut into `ROWS`, as addresses that hold their own content."""
    width = _piece_width(level)
    cut = [level.pixels[:, width * row : width * (row + 1)] for row in range(ROWS)]
    return [f"data:image/png;base64,{base64.b64encode(png(one)).decode()}" for one in cut]


def heat_map(level: LevelMap, episodes: Sequence[EpisodeScore], addresses: Sequence[str], title: str) -> str:
    """Deaths as red dots on the level, and below it in blue the share of episodes that were in each column.

    `addresses` are those of the pieces of the level.
    """
    width, height = _piece_width(level), level.pixels.shape[0]
    shares = _coverage(level, episodes)
    parts = []
    for row in range(ROWS):
        top, first = row * (height + _STRIP + _GAP), row * width
        across = min(width, level.pixels.shape[1] - first)
        parts.append(f'<image href="{addresses[row]}" x="0" y="{top}" width="{across}" height="{height}"/>')
        parts.append(f'<rect class="ground" x="0" y="{top + height}" width="{across}" height="{_STRIP}"/>')
        for column, share in enumerate(shares):
            x = column * COLUMN - level.left - first
            if share > 0 and -COLUMN < x < across:
                left, right = max(0, x), min(across, x + COLUMN)
                bar = share * _STRIP
                parts.append(
                    f'<rect class="reach" x="{left}" y="{top + height + _STRIP - bar:.1f}" width="{right - left}" '
                    f'height="{bar:.1f}"/>'
                )
        for episode in episodes:
            x, y = episode.end[0] - level.left - first + 8, 255 - episode.end[1] - level.top + 8
            if episode.end[1] > HIGHEST_GRAVE:
                y = height
            if episode.died and 0 <= x < across:
                parts.append(f'<circle class="death" cx="{x}" cy="{top + min(max(y, 4), height - 4)}" r="9"/>')
    total = ROWS * (height + _STRIP + _GAP)
    return (
        f'<svg class="level" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" role="img" '
        f'aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
    )


def _piece_width(level: LevelMap) -> int:
    return -(-int(level.pixels.shape[1]) // ROWS)


def _coverage(level: LevelMap, episodes: Sequence[EpisodeScore]) -> np.ndarray:
    """Share of episodes that were in each column of the level, (columns,)."""
    counts = np.zeros((level.left + level.pixels.shape[1]) // COLUMN + 1)
    for episode in episodes:
        for column in episode.visited:
            if column < len(counts):
                counts[column] += 1
    return counts / max(1, len(episodes))

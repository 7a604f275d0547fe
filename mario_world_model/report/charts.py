"""Line charts, intervals, bars and clouds of points as SVG: no library, legible in print, in the dark and on a phone.

Colours follow Okabe and Ito (2008), which colour-blind readers can tell apart; every line has its own dash pattern,
for paper without colour. They are classes of `STYLE`, which a page holds once and a file for itself.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mario_world_model.statistics.interval import Interval

WIDTH = 460
"""Units across: letters of 13 are 10 pixels high on the narrowest phone."""
_LEFT, _RIGHT, _TOP, _HEIGHT = 64, 24, 12, 230
_COLOURS = 8

_LIGHT = ("#0072b2", "#d55e00", "#008060", "#b0508a", "#b07800", "#1f8fc0", "#555555", "#8c510a")
_DARK = ("#56b4e9", "#ff9a57", "#3fd6a6", "#f0a3cf", "#f2c14e", "#9ad8ff", "#c8c8c8", "#dfb27a")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "4 4", "12 4", "1 2", "6 2 1 2 1 2")


def _colours(values: Sequence[str]) -> str:
    return "".join(f"--c{number}:{value};" for number, value in enumerate(values))


STYLE = (
    f"svg.chart{{--ink:#1b1b1b;--faint:#c9c9c9;--paper:#fff;{_colours(_LIGHT)}"
    "font:13px system-ui,sans-serif;fill:var(--ink)}"
    f"@media screen and (prefers-color-scheme:dark){{svg.chart{{--ink:#ececec;--faint:#4a4a4a;--paper:#161616;"
    f"{_colours(_DARK)}}}}}"
    "svg.chart .axis{stroke:var(--ink);fill:none}svg.chart .grid{stroke:var(--faint);fill:none;stroke-width:.7}"
    "svg.chart .thin{stroke-width:1.3}svg.chart .thick{stroke-width:2.4}svg.chart .line{fill:none}"
    "svg.chart .back{fill:var(--paper)}svg.chart text{fill:var(--ink)}"
    + "".join(
        f"svg.chart .s{number}{{stroke:var(--c{number});stroke-dasharray:{_DASHES[number]}}}"
        f"svg.chart .d{number}{{stroke:var(--c{number})}}svg.chart .f{number}{{fill:var(--c{number})}}"
        for number in range(_COLOURS)
    )
)


@dataclass(frozen=True)
class Line:
    """Points joined in order, or with `joined` off, points alone."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    thin: bool = False
    joined: bool = True
    bounds: Sequence[tuple[float, float]] = ()
    """Ends of an interval around each y."""


def standalone(svg: str) -> str:
    """A drawing that stands in a file of its own."""
    return svg.replace(">", f"><style>{STYLE}</style>", 1)


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, log_x: bool = False, y_range: tuple[float, float] | None = None
) -> str:
    """Lines over a common pair of axes, with a legend below of those that have a name."""
    xs = [one for line in lines for one in line.x if math.isfinite(one)]
    ys = [one for line in lines for one in line.y if math.isfinite(one)]
    ys += [end for line in lines for pair in line.bounds for end in pair if math.isfinite(end)]
    horizontal = _Scale(min(xs, default=0.0), max(xs, default=1.0), _LEFT, WIDTH - _RIGHT, log_x)
    low, high = y_range or (min(ys, default=0.0), max(ys, default=1.0))
    vertical = _Scale(low, high, _TOP + _HEIGHT, _TOP)
    parts = [_axes(horizontal, vertical, x_label, y_label)]
    for line in lines:
        parts += _drawn(line, horizontal, vertical)
    legend, bottom = _legend(lines, _TOP + _HEIGHT + 52)
    return _svg(bottom, f"{y_label} over {x_label}", [*parts, *legend])


def interval_chart(rows: Sequence[tuple[str, Interval, int]], label: str) -> str:
    """One line per (name, interval, colour): the estimate as a dot, the interval as a bar, the name above."""
    ends = [one for _, interval, _ in rows for one in (interval.low, interval.estimate, interval.high)]
    ends = [one for one in ends if math.isfinite(one)]
    scale = _Scale(min(0.0, min(ends, default=0.0)), max(ends, default=1.0), 8, WIDTH - 24)
    bottom = _TOP + 36 * len(rows)
    parts = []
    for tick in scale.ticks:
        place = scale(tick)
        parts.append(f'<path class="grid" d="M{place:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{_number(tick)}</text>')
    for number, (name, interval, colour) in enumerate(rows):
        y = _TOP + 36 * number + 25
        parts.append(f'<text x="8" y="{y - 9}">{html.escape(name)}</text>')
        if math.isfinite(interval.low) and math.isfinite(interval.high):
            low, high = scale(interval.low), scale(interval.high)
            parts.append(f'<path class="line d{colour % _COLOURS}" stroke-width="5" d="M{low:.1f} {y}H{high:.1f}"/>')
        parts.append(f'<circle class="f{colour % _COLOURS}" cx="{scale(interval.estimate):.1f}" cy="{y}" r="5.5"/>')
        parts.append(f'<circle class="back" cx="{scale(interval.estimate):.1f}" cy="{y}" r="2"/>')
    parts.append(f'<text x="{WIDTH / 2}" y="{bottom + 36}" text-anchor="middle">{html.escape(label)}</text>')
    return _svg(bottom + 46, label, parts)


def histogram(edges: Sequence[float], shares: Sequence[float], label: str) -> str:
    """Bars of given shares between N + 1 edges."""
    horizontal = _Scale(edges[0], edges[-1], _LEFT, WIDTH - _RIGHT)
    vertical = _Scale(0.0, max(shares, default=1.0) or 1.0, _TOP + _HEIGHT, _TOP)
    parts = [_axes(horizontal, vertical, label, "share")]
    for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True):
        x, width, y = horizontal(left), horizontal(right) - horizontal(left), vertical(share)
        parts.append(
            f'<rect class="f0" x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(0.5, width - 1):.1f}" '
            f'height="{_TOP + _HEIGHT - y:.1f}"/>'
        )
    return _svg(_TOP + _HEIGHT + 46, label, parts)


class _Scale:
    """From numbers to units of the drawing, with round numbers to mark."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self._log = log and low > 0
        if self._log:
            low, high = math.log10(low), math.log10(max(high, low * 1.0001))
            self.ticks = [
                digit * 10.0**power
                for power in range(math.floor(low), math.ceil(high) + 1)
                for digit in ((1, 2, 5) if high - low < 3 else (1,))
                if low - 0.05 <= math.log10(digit * 10.0**power) <= high + 0.05
            ]
            room = 0.04 * (high - low) + 1e-3
            low, high = low - room, high + room
        else:
            step = _step((high - low) / 5 or 1.0)
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            last = max(last, first + 1)
            self.ticks = [step * number for number in range(first, last + 1)]
            low, high = self.ticks[0], self.ticks[-1]
        self._low, self._unit, self._start = low, (end - start) / (high - low), start

    def __call__(self, value: float) -> float:
        place = math.log10(max(value, 1e-12)) if self._log else value
        return self._start + (place - self._low) * self._unit


def _step(about: float) -> float:
    power = 10.0 ** math.floor(math.log10(about))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= about * 0.999)


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:g} M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g} k"
    return f"{value:.6g}".replace("-", "−")


def _axes(horizontal: _Scale, vertical: _Scale, x_label: str, y_label: str) -> str:
    bottom, right = _TOP + _HEIGHT, WIDTH - _RIGHT
    parts = []
    for tick in vertical.ticks:
        y = vertical(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    shown = -math.inf
    for tick in horizontal.ticks:
        x = horizontal(tick)
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        if x - shown >= 44:  # letters must not run into each other
            parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{_number(tick)}</text>')
            shown = x
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 37}" text-anchor="middle">{html.escape(x_label)}</text>')
    height = (_TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 13 {height})"'
    parts.append(f'<text x="13" y="{height}" {turned}>{html.escape(y_label)}</text>')
    return "".join(parts)


def _drawn(line: Line, horizontal: _Scale, vertical: _Scale) -> list[str]:
    colour = line.colour % _COLOURS
    points = [
        (horizontal(x), vertical(y))
        for x, y in zip(line.x, line.y, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    parts = []
    if line.joined and len(points) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path class="line {_stroke(line)}" d="M{path}"/>')
    for x, (low, high) in zip(line.x, line.bounds, strict=False):
        if math.isfinite(low) and math.isfinite(high):
            place = horizontal(x)
            parts.append(
                f'<path class="line d{colour}" stroke-width="1.6" d="M{place - 4:.1f} {vertical(low):.1f}h8m-4 0'
                f'V{vertical(high):.1f}m-4 0h8"/>'
            )
    if not line.joined or line.bounds or len(points) < 2:
        parts += [f'<circle class="f{colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    return parts


def _stroke(line: Line) -> str:
    colour = line.colour % _COLOURS
    return f"d{colour} thin" if line.thin else f"s{colour} thick"


def _legend(lines: Sequence[Line], top: float) -> tuple[list[str], float]:
    named = {line.name: line for line in lines if line.name}
    parts, y = [], top
    for name, line in named.items():
        colour = line.colour % _COLOURS
        if line.joined:
            parts.append(f'<path class="line {_stroke(line)}" d="M{_LEFT} {y}h30"/>')
        else:
            parts.append(f'<circle class="f{colour}" cx="{_LEFT + 15}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{_LEFT + 38}" y="{y + 4}">{html.escape(name)}</text>')
        y += 19
    return parts, y


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
    )

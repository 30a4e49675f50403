"""Charts of a page as SVG: the page's style gives them their colors, so they follow dark and light, and print."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pushforward.evaluation.report.contents import ColumnCalibration, LearningCurve, Marginal, Memorization
from pushforward.support.wording import counted, with_minus

Numbers = Sequence[float]
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# More bars than this have no room for a label each.
MOST_LABELS = 14
# Pixels of a chart that stands alone: it is legible on a phone too.
WIDE = 430


@dataclass(frozen=True)
class Frame:
    """The space of a chart in pixels, and the numbers that its axes cover.

    Attributes:
        x: lowest and highest.
        y: lowest and highest.
        width: of the whole chart.
        height: of the whole chart.
        left: room for the labels of the y axis; 8 without.
        bottom: room for those of the x axis.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 320
    height: float = 190
    left: float = 44
    bottom: float = 36

    def across(self, value: float) -> float:
        """The pixel of an x."""
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (self.width - self.left - 10)

    def up(self, value: float) -> float:
        """The pixel of a y."""
        return (
            self.height - self.bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * (self.height - self.bottom - 10)
        )

    def points(self, x: Numbers, y: Numbers) -> str:
        """A line through points as SVG writes it; those that are not finite are left out."""
        pairs = zip(x, y, strict=True)
        return " ".join(f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in pairs if math.isfinite(b))


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that divide an interval into about so many parts.

    Example:
        >>> ticks(0.0, 0.93)
        [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    raw = (high - low) / count
    if not (raw > 0 and math.isfinite(raw)):
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= 0.999 * raw)
    first = math.ceil(low / step - 1e-9)
    return [round(step * place, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float | None, digits: int = 4) -> str:
    """A number with few digits, as people write it.

    Example:
        >>> number(-0.25), number(3e-6), number(None)
        ('−0.25', '3 × 10⁻⁶', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = with_minus(f"{value:.{digits}g}")
    mantissa, _, power = text.partition("e")
    return f"{mantissa} × 10{str(int(power.replace('−', '-'))).translate(_RAISED)}" if power else text


def chart(
    frame: Frame, body: str, title: str, *, x_label: str = "", y_ticks: bool = True, x_ticks: bool = True
) -> Markup:
    """A chart with axes, and a text in its place for those who do not see it."""
    parts = []
    for tick in ticks(*frame.y, 4) if y_ticks else []:
        up = frame.up(tick)
        parts.append(f'<line class="grid" x1="{frame.left}" x2="{frame.width - 10}" y1="{up:.1f}" y2="{up:.1f}"/>')
        parts.append(f'<text class="tick end" x="{frame.left - 6}" y="{up + 3.5:.1f}">{number(tick)}</text>')
    base = frame.height - frame.bottom
    for tick in ticks(*frame.x, 5) if x_ticks else []:
        parts.append(f'<text class="tick middle" x="{frame.across(tick):.1f}" y="{base + 16}">{number(tick)}</text>')
    parts += [body, f'<line class="axis" x1="{frame.left}" x2="{frame.width - 10}" y1="{base}" y2="{base}"/>']
    if x_label:
        middle = (frame.left + frame.width - 10) / 2
        parts.append(f'<text class="label middle" x="{middle:.1f}" y="{frame.height - 4}">{escape(x_label)}</text>')
    return Markup(
        f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def calibration_curve(column: ColumnCalibration) -> Markup:
    """The empirical distribution function of the transforms less the probability, with its simultaneous band."""
    reach = 1.1 * max(map(abs, [*column.ecdf, *column.band_low, *column.band_high, 1e-3]))
    frame = Frame((0.0, 1.0), (-reach, reach))
    band = frame.points(column.grid, column.band_high) + " "
    band += frame.points(column.grid[::-1], column.band_low[::-1])
    zero = frame.up(0.0)
    body = (
        f'<polygon class="band" points="{band}"/>'
        f'<line class="axis faint" x1="{frame.left}" x2="{frame.width - 10}" y1="{zero:.1f}" y2="{zero:.1f}"/>'
        f'<polyline class="line data" points="{frame.points(column.grid, column.ecdf)}"/>'
    )
    inside = all(
        low <= value <= high for low, value, high in zip(column.band_low, column.ecdf, column.band_high, strict=True)
    )
    words = "stays within" if inside else "leaves"
    title = f"{column.column}: the difference of the distribution functions {words} its 95 % band"
    return chart(frame, body, title, x_label="probability integral transform")


def calibration_bars(column: ColumnCalibration) -> Markup:
    """The histogram of the transforms, with what equal counts may be."""
    highest = 1.1 * max([*column.counts, *column.count_high, 1])
    frame = Frame((0.0, 1.0), (0.0, highest))
    bins = len(column.counts)
    edges = [place / bins for place in range(bins + 1)]
    band = _steps(frame, edges, column.count_high) + " " + _steps(frame, edges[::-1], column.count_low[::-1])
    bars = "".join(
        _bar(frame, low, high, count, "data" if least <= count <= most else "model", counted(count, "row"))
        for low, high, count, least, most in zip(
            edges, edges[1:], column.counts, column.count_low, column.count_high, strict=False
        )
    )
    body = f'{bars}<polygon class="band over" points="{band}"/>'
    title = f"{column.column}: histogram of the probability integral transforms; equal counts would be calibrated"
    return chart(frame, body, title, x_label="probability integral transform")


def marginal_chart(marginal: Marginal, axis: tuple[Numbers, Sequence[str]] | None = None) -> Markup:
    """A column in the table and in draws: bars for values, steps for bins, and its gaps at the end.

    Arguments:
        marginal: of the column.
        axis: codes and their texts, where these are not numbers; default none.
    """
    if marginal.discrete:
        return _discrete(marginal)
    edges, draws, data = marginal.edges, marginal.draws, marginal.data
    if len(edges) < 2:
        return Markup("")
    widths = [high - low for low, high in itertools.pairwise(edges)]
    typical = sum(widths) / len(widths)
    # Densities relative to an even one, so that bins of other widths compare.
    heights = [[share / width * typical for share, width in zip(part, widths, strict=True)] for part in (data, draws)]
    highest = 1.08 * max(max(heights[0]), min(max(heights[1]), 2 * max(heights[0])), 1e-9)
    frame = Frame((edges[0], edges[-1]), (0.0, highest), left=10)
    base = f"{frame.across(edges[-1]):.1f},{frame.up(0):.1f} {frame.across(edges[0]):.1f},{frame.up(0):.1f}"
    body = (
        f'<polygon class="fill data" points="{_steps(frame, edges, heights[0])} {base}"/>'
        f'<polyline class="line model" points="{_steps(frame, edges, heights[1])}"/>'
    )
    title = f"{marginal.column}: histogram of the rows and of the draws"
    if axis is not None:
        body += _named_ticks(frame, *axis)
    return chart(frame, body, title, x_label=_gaps(marginal), y_ticks=False, x_ticks=axis is None)


def _named_ticks(frame: Frame, codes: Numbers, texts: Sequence[str]) -> str:
    """Four places of the x axis with the texts of the nearest codes."""
    found = []
    for place in range(4):
        at = frame.x[0] + (place + 0.5) / 4 * (frame.x[1] - frame.x[0])
        nearest = min(range(len(codes)), key=lambda one: abs(codes[one] - at))
        up = frame.height - frame.bottom + 16
        found.append(f'<text class="tick middle" x="{frame.across(at):.1f}" y="{up}">{escape(texts[nearest])}</text>')
    return "".join(found)


def _gaps(marginal: Marginal) -> str:
    data, draws = marginal.gaps_data.value, marginal.gaps_draws.value
    if not (data > 0 or draws > 0):
        return ""
    return f"missing: {100 * data:.3g} % of rows, {100 * draws:.3g} % of draws"


def _discrete(marginal: Marginal) -> Markup:
    labels, data, draws = list(marginal.labels), list(marginal.data), list(marginal.draws)
    if marginal.gaps_data.value > 0 or marginal.gaps_draws.value > 0:
        present = 1 - marginal.gaps_data.value, 1 - marginal.gaps_draws.value
        data = [*(share * present[0] for share in data), marginal.gaps_data.value]
        draws = [*(share * present[1] for share in draws), marginal.gaps_draws.value]
        labels.append("missing")
    count = len(labels)
    frame = Frame((0.0, float(max(count, 1))), (0.0, 1.1 * max([*data, *draws, 1e-9])), left=10)
    parts = []
    every = -(-count // MOST_LABELS)
    room = max(3, int((frame.width - 20) / max(count / every, 1) / 6))
    for place, (label, share, drawn) in enumerate(zip(labels, data, draws, strict=True)):
        tip = f"{label}: {100 * share:.3g} % of rows, {100 * drawn:.3g} % of draws"
        parts.append(_bar(frame, place + 0.12, place + 0.5, share, "data", tip))
        parts.append(_bar(frame, place + 0.5, place + 0.88, drawn, "model", tip))
        if place % every == 0:
            text = _cut(label, room)
            at = frame.across(place + 0.5)
            parts.append(f'<text class="tick middle" x="{at:.1f}" y="{frame.height - 21}">{escape(text)}</text>')
    title = f"{marginal.column}: shares of the values in the rows and in the draws"
    return chart(frame, "".join(parts), title, y_ticks=False, x_ticks=False)


def distance_chart(memorization: Memorization) -> Markup:
    """Distances to the nearest training row: those of rows of the report, and those of draws."""
    edges = memorization.distance_edges
    highest = 1.1 * max([*memorization.distance_rows, *memorization.distance_draws, 1e-9])
    frame = Frame((edges[0], edges[-1]), (0.0, highest), width=WIDE, height=230, left=10, bottom=42)
    base = f"{frame.across(edges[-1]):.1f},{frame.up(0):.1f} {frame.across(edges[0]):.1f},{frame.up(0):.1f}"
    body = (
        f'<polygon class="fill data" points="{_steps(frame, edges, memorization.distance_rows)} {base}"/>'
        f'<polyline class="line model" points="{_steps(frame, edges, memorization.distance_draws)}"/>'
    )
    title = "Histogram of the distances to the nearest training row, of rows of the table and of draws"
    return chart(frame, body, title, x_label="distance to the nearest training row, standard deviations", y_ticks=False)


def learning_chart(curve: LearningCurve) -> Markup:
    """Nats per row during the training, on its rows and on held-out ones."""
    known = [value for value in [*curve.train, *curve.held_out] if value is not None and math.isfinite(value)]
    # The first steps from a bad start would flatten all others.
    later = [value for value in curve.held_out[len(curve.held_out) // 10 :] if math.isfinite(value)] or known
    low, high = min(later), max(known)
    margin = 0.12 * (high - low) or 0.5
    last = float(curve.step[-1]) or 1.0
    frame = Frame((0.0, last), (low - 3 * margin, high + margin), width=WIDE, height=240, left=54, bottom=42)
    parts = []
    for name, values in (("data", curve.train), ("model", curve.held_out)):
        some = [
            (step, max(value, frame.y[0]))
            for step, value in zip(curve.step, values, strict=True)
            if value is not None and math.isfinite(value)
        ]
        if some:
            parts.append(f'<polyline class="line {name}" points="{frame.points(*zip(*some, strict=True))}"/>')
    if curve.best_step >= 0:
        at = frame.across(min(curve.best_step, last))
        parts.append(f'<line class="marker" x1="{at:.1f}" x2="{at:.1f}" y1="10" y2="{frame.height - frame.bottom}"/>')
        side = "end" if at > frame.width / 2 else "start"
        shift = -6 if side == "end" else 6
        kept = f"step {curve.best_step:,}" if curve.best_step else "the start"
        parts.append(f'<text class="tick {side}" x="{at + shift:.1f}" y="20">kept: {kept}</text>')
    title = f"Learning curve: {number(curve.held_out[-1])} nats per held-out row after {curve.step[-1]} steps"
    return chart(frame, "".join(parts), title, x_label="steps")


def intervals(rows: Sequence[tuple[str, float, float]], zero: str) -> Markup:
    """Numbers with two standard errors on either side of a line at 0."""
    ends = [end for _, value, error in rows for end in (value - 2 * error, value + 2 * error) if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.06 * (high - low) or 1.0
    frame = Frame(
        (low - margin, high + margin), (0.0, 1.0), width=WIDE, height=52 + 26 * len(rows), left=140, bottom=42
    )
    at = frame.across(0.0)
    parts = [f'<line class="marker" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="{frame.height - frame.bottom}"/>']
    for place, (name, value, error) in enumerate(rows):
        y, error = 18 + 26 * place, error if math.isfinite(error) else 0.0
        start, end = frame.across(value - 2 * error), frame.across(value + 2 * error)
        label = escape(_cut(name, 20))
        parts.append(f'<text class="name end" x="{frame.left - 10}" y="{y + 4}">{label}</text>')
        parts.append(f'<line class="whisker" x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot" cx="{frame.across(value):.1f}" cy="{y}" r="4.5"/>')
    title = "; ".join(f"{name}: {number(value)}" for name, value, _ in rows)
    return chart(frame, "".join(parts), f"{zero}: {title}", x_label=zero, y_ticks=False)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _steps(frame: Frame, edges: Numbers, heights: Numbers) -> str:
    corners = []
    for start, end, height in zip(edges, edges[1:], heights, strict=False):
        up = frame.up(min(height, frame.y[1]))
        corners += [f"{frame.across(start):.1f},{up:.1f}", f"{frame.across(end):.1f},{up:.1f}"]
    return " ".join(corners)


def _bar(frame: Frame, start: float, end: float, height: float, kind: str, tip: str) -> str:
    left, right, top = frame.across(start), frame.across(end), frame.up(height)
    size = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{max(frame.up(0) - top, 0):.1f}"'
    return f'<rect class="fill {kind}" {size} data-tip="{escape(tip)}"/>'

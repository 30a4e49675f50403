"""The corner plot: a flow's samples against the data, every column and every pair of columns."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from pushforward.errors import InputError
from pushforward.evaluation.plots.arguments import check_path, matrix, texts
from pushforward.evaluation.plots.style import DATA, DATA_LINE, SAMPLES, new_figure, save
from pushforward.support.arguments import is_whole
from pushforward.support.wording import counted

_DATA_MAP = LinearSegmentedColormap.from_list("data", ["#f0f0f0", "#b4b4b4", "#6e6e6e", "#3c3c3c"])
_SAMPLES_MAP = LinearSegmentedColormap.from_list("samples", ["#fdece1", "#f6b58c", "#d55e00", "#7a3300"])
_REGIONS = (0.5, 0.9, 0.99)
_LINE_WIDTHS = (1.3, 1.0, 0.7)
_GAP = 0.08  # inches between axes
_TICK_SIZE = 0.85  # of the names' font size
_LONGEST_NAME = 28


def corner(
    data: ArrayLike,
    samples: ArrayLike,
    names: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    maximum_rows: int = 20_000,
) -> Figure:
    """Draw the data against a flow's samples: every column, and every pair of columns.

    On the diagonal, the histogram of the data is filled gray and that of the samples is a colored line. Below the
    diagonal are two-dimensional histograms of the data in gray, above it, mirrored, those of the samples in color, with
    equal shades for equal densities on a logarithmic scale. Lines enclose the densest 50, 90 and 99 % of the rows:
    those of the samples in color below the diagonal, those of the data in gray above it. Each axis covers the 0.1 % to
    the 99.9 % quantile of the data with a small margin; rows beyond are counted but not visible. Rows with a value that
    is not finite are left out.

    Arguments:
        data: Rows of the table, shape (rows, columns), in any units.
        samples: Rows drawn from the flow, shape (rows, columns); the same columns in the same order and units.
        names: A name for each column; default their numbers, from 0.
        path: File to write, PNG unless its name ends in .pdf or .svg; default None writes no file.
        title: Line above the picture; default None.
        maximum_rows: Most rows of either to draw, a random subset of more; default 20,000.

    Returns:
        The figure, 1600 pixels wide up to ten columns and wider beyond.

    Raises:
        InputError: What is given is not numbers, the shapes or the number of names do not match, there are no finite
            rows, or the file cannot be written.

    Example:
        >>> rows, draws = np.random.default_rng(0).normal(size=(2, 200, 3))
        >>> figure = corner(rows, draws, ["x", "y", "z"])
        >>> len(figure.axes)
        9
    """
    check_path(path)
    if not is_whole(maximum_rows) or maximum_rows < 1:
        raise InputError(f"maximum_rows must be a whole number above 0; it is {maximum_rows!r}.")
    drawn_data = _finite_rows(data, "data", maximum_rows)
    drawn_samples = _finite_rows(samples, "samples", maximum_rows)
    columns = drawn_data.shape[1]
    if drawn_samples.shape[1] != columns or columns == 0:
        raise InputError(
            f"A corner picture needs data and samples of the same columns: the data have {counted(columns, 'column')}, "
            f"the samples {drawn_samples.shape[1]}."
        )
    labels = [_shortened(name) for name in texts(range(columns) if names is None else names, columns)]
    limits = [_limits(column) for column in drawn_data.T]
    edges = [_edges(column, *limit) for column, limit in zip(drawn_data.T, limits, strict=True)]
    layout = _layout(columns, title is not None)
    figure = new_figure(layout.width, layout.height)
    gap = _GAP / (layout.cell - _GAP)
    grid = figure.add_gridspec(columns, columns, wspace=gap, hspace=gap, **layout.frame)
    for row in range(columns):
        for column in range(columns):
            axes = figure.add_subplot(grid[row, column])
            axes.set_xlim(*limits[column])
            if row == column:
                _draw_histograms(axes, drawn_data[:, row], drawn_samples[:, row], edges[row])
            else:
                axes.set_ylim(*limits[row])
                pair = [column, row]
                pair_edges = (edges[column], edges[row])
                below = row > column
                _draw_density(axes, drawn_data[:, pair], drawn_samples[:, pair], pair_edges, filled_data=below)
                lines, color = (drawn_samples, SAMPLES) if below else (drawn_data, DATA_LINE)
                _draw_regions(axes, lines[:, pair], pair_edges, color)
            _format_ticks(axes, row, column, columns, layout.font)
            _label(axes, row, column, labels, layout)
    rows = (len(drawn_data), len(drawn_samples))
    _write_header(figure, title, rows, layout.frame["left"], layout.frame["right"], pairs=columns > 1)
    if path is not None:
        save(figure, path)
    return figure


class _Layout(NamedTuple):
    """Sizes of the figure: lengths in inches, the font in points, the frame around the axes as fractions."""

    width: float
    height: float
    cell: float
    tick_room: float
    font: float
    frame: dict[str, float]


def _layout(columns: int, has_title: bool) -> _Layout:
    font = float(np.clip(15.5 - 1.1 * columns, 7.0, 11.5))
    tick_room = (5 * 0.6 * _TICK_SIZE * font + 5.0) / 72.0  # five characters and the tick itself
    left, right = (tick_room + 1.5 * font / 72.0, tick_room) if columns > 1 else (0.4, 0.4)
    bottom, header = 3.4 * font / 72.0, 0.74 if has_title else 0.38
    width = max(10.0, float(columns))
    cell = (width - left - right) / columns
    height = header + bottom + (5.0 if columns == 1 else columns * cell)
    frame = {
        "left": left / width,
        "right": 1.0 - right / width,
        "bottom": bottom / height,
        "top": 1.0 - header / height,
    }
    return _Layout(width, height, cell, tick_room, font, frame)


def _label(axes: Axes, row: int, column: int, labels: Sequence[str], layout: _Layout) -> None:
    """Write the names of the columns below the last row of axes and beside the first column."""
    size = _fitting(labels, layout.font, layout.cell)
    if row == len(labels) - 1:
        label = axes.set_xlabel(labels[column], fontsize=size, labelpad=3)
        label.set_parse_math(False)  # a dollar sign in a name starts no formula
    if column == 0 and len(labels) > 1:
        label = axes.set_ylabel(labels[row], fontsize=size)
        label.set_parse_math(False)
        axes.yaxis.set_label_coords(-layout.tick_room / (layout.cell - _GAP), 0.5)


def _finite_rows(table: ArrayLike, name: str, maximum_rows: int) -> np.ndarray:
    """Return the finite rows in double precision, a fixed random subset of them if there are too many."""
    array = matrix(table, name, "A corner picture")
    if array.ndim != 2:
        raise InputError(f"A corner picture needs {name} of shape (rows, columns), not {array.shape}.")
    array = array[np.isfinite(array).all(axis=1)]
    if len(array) == 0:
        raise InputError(f"A corner picture needs finite rows: the {name} have none.")
    if len(array) > maximum_rows:
        array = array[np.random.default_rng(0).choice(len(array), maximum_rows, replace=False)]
    return array


def _limits(column: np.ndarray) -> tuple[float, float]:
    """Return the bulk of a data column with a margin."""
    low, high = np.quantile(column, [0.001, 0.999])
    margin = 0.06 * (high - low)
    if margin <= 1e-12 * max(abs(low), abs(high)):
        margin = 0.05 * max(abs(low), abs(high)) or 0.5
    return float(low - margin), float(high + margin)


def _bins(rows: int) -> int:
    return int(np.clip(2.2 * rows ** (1 / 3), 12, 60))


def _edges(column: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the edges of a column's histogram bins, equally wide, which cover the limits."""
    bins = _bins(len(column))
    values = np.unique(column[(column >= low) & (column <= high)])
    if 2 <= len(values) <= 6 * bins:
        gaps = np.diff(values) / np.diff(values).min()
        if np.abs(gaps - np.round(gaps)).max() < 1e-3:
            # Values on a lattice (months, whole degrees): bins that hold unequal numbers of lattice points would draw
            # stripes that are not in the data.
            spacing = (values[-1] - values[0]) / np.round(gaps).sum()
            step = spacing * max(1, math.ceil((high - low) / spacing / bins))
            start = values[0] - 0.5 * spacing
            start -= step * max(0, math.ceil((start - low) / step))
            edges: np.ndarray = start + step * np.arange(math.ceil((high - start) / step) + 1)
            return edges
    return np.linspace(low, high, bins + 1)


def _draw_histograms(axes: Axes, data: np.ndarray, samples: np.ndarray, edges: np.ndarray) -> None:
    heights = [np.histogram(values, edges)[0] / (len(values) * np.diff(edges)) for values in (data, samples)]
    axes.stairs(heights[0], edges, fill=True, color=DATA, alpha=0.55, linewidth=0)
    axes.stairs(heights[1], edges, color=SAMPLES, linewidth=1.3)
    # Samples piled up in one bin must not flatten the data.
    axes.set_ylim(0.0, 1.12 * min(max(heights[0].max(), heights[1].max()), 2.0 * heights[0].max()))


def _draw_density(
    axes: Axes,
    data: np.ndarray,
    samples: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray],
    *,
    filled_data: bool,
) -> None:
    data_density = _share_per_cell(data, edges)
    density = data_density if filled_data else _share_per_cell(samples, edges)
    shown = np.ma.masked_less_equal(density.T, 0.0)
    # One scale for both halves, set by the data: equal shades mean equal densities.
    lowest = 0.7 / max(len(data), len(samples))
    norm = LogNorm(lowest, max(data_density.max(), 2.0 * lowest), clip=True)
    colors = _DATA_MAP if filled_data else _SAMPLES_MAP
    axes.pcolormesh(edges[0], edges[1], shown, cmap=colors, norm=norm, rasterized=True, linewidth=0)


def _share_per_cell(rows: np.ndarray, edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    counts: np.ndarray = np.histogram2d(rows[:, 0], rows[:, 1], bins=edges)[0]
    return counts / len(rows)


def _draw_regions(axes: Axes, rows: np.ndarray, edges: tuple[np.ndarray, np.ndarray], color: str) -> None:
    """Draw the outlines of the smallest regions that hold given shares of the rows."""
    padded, breadths = [], []
    for edge in edges:
        bins = len(edge) - 1
        step = (edge[-1] - edge[0]) / bins
        beyond = max(2, bins // 4)  # so that smoothing at the frame knows what lies beyond
        padded.append(edge[0] + step * np.arange(-beyond, bins + beyond + 1))
        breadths.append(0.9 * min(1.0, bins / _bins(len(rows))))
    share = _share_per_cell(rows, (padded[0], padded[1]))
    sharp = gaussian_filter(share, breadths, mode="constant")
    blurred = gaussian_filter(share, [1.8 * breadth for breadth in breadths], mode="constant")
    # Where rows are few, the outline would follow each of them: blur more in such places, and less elsewhere.
    trust = len(rows) * blurred / (len(rows) * blurred + 2.0)
    density = trust * sharp + (1.0 - trust) * blurred
    # Rows beyond the padded frame lie outside of every region.
    density *= share.sum() / density.sum() if density.sum() > 0.0 else 1.0
    descending = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(descending)
    outlines = {}
    for region, line_width in zip(_REGIONS, _LINE_WIDTHS, strict=True):
        index = int(np.searchsorted(mass, region))
        if index < len(descending) and descending[index] > 0.0:
            outlines[float(descending[index])] = line_width
    if outlines and density.max() > density.min():
        levels = sorted(outlines)
        centers = [0.5 * (edge[1:] + edge[:-1]) for edge in padded]
        widths = [outlines[level] for level in levels]
        axes.contour(*centers, density.T, levels=levels, colors=color, linewidths=widths)


def _format_ticks(axes: Axes, row: int, column: int, columns: int, font: float) -> None:
    """Give the axes few and small ticks, and numbers on the outer ones only."""
    ticks = 3 if columns > 2 else 6
    axes.xaxis.set_major_locator(MaxNLocator(ticks, prune="both" if columns > 1 else None))
    axes.yaxis.set_major_locator(MaxNLocator(ticks, prune="both"))
    axes.tick_params(labelsize=_TICK_SIZE * font, length=2.0, width=0.5, pad=1.5, color="#666666", labelcolor="#333333")
    axes.tick_params(labelbottom=row == columns - 1, labelleft=False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)
        spine.set_color("#666666")
    if row == column:
        axes.yaxis.set_ticks([])
    elif column == 0:
        axes.tick_params(labelleft=True)
    elif row == 0 and column == columns - 1:
        # The first axes of this row count rows, so its scale is at the other end.
        axes.tick_params(left=False, right=True, labelright=True)


def _fitting(labels: Sequence[str], font: float, inches: float) -> float:
    """Return a font size at which the longest name is not longer than one of the axes."""
    return min(font, inches * 72.0 / (0.58 * max(1, *(len(label) for label in labels))))


def _shortened(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _write_header(
    figure: Figure, title: str | None, rows: tuple[int, int], left: float, right: float, *, pairs: bool
) -> None:
    inch = 1.0 / float(figure.get_size_inches()[1])
    top = 1.0 - 0.12 * inch
    if title is not None:
        text = figure.text(left, top, title, fontsize=14, fontweight="bold", va="top", color="#222222")
        text.set_parse_math(False)
        top -= 0.36 * inch
    figure.legend(
        handles=[
            Patch(facecolor=DATA, alpha=0.55, label=f"data ({rows[0]:,} rows)"),
            Line2D([], [], color=SAMPLES, linewidth=1.8, label=f"samples ({rows[1]:,} rows)"),
        ],
        loc="upper left",
        bbox_to_anchor=(left, top),
        ncols=2,
        frameon=False,
        fontsize=9,
        borderaxespad=0.0,
        borderpad=0.0,
        handlelength=1.6,
        columnspacing=1.6,
    )
    if pairs:
        meaning = "lines: densest 50, 90, 99 % of samples (lower left), data (upper right)"
        figure.text(right, top, meaning, fontsize=9, ha="right", va="top", color="#333333")

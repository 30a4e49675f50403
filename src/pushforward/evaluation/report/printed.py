"""A report as pictures: the pages of a PDF, or one long PNG."""

from __future__ import annotations

import io
import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from pushforward.evaluation import plots
from pushforward.evaluation.plots.style import DATA, DATA_LINE, DPI, SAMPLES, new_figure, tidy
from pushforward.evaluation.report.contents import Dependence, LearningCurve, Marginal, ModelReport
from pushforward.support.atomic import atomic_path

# Of more columns the pictures would be too small.
MOST_IN_CORNER, MOST_MARGINALS = 5, 12
_CHARACTERS = 118
# Inches, of all figures, so that nothing is left beside them; the most places that an axis of words names.
_WIDTH, MOST_TICKS = 10.0, 7


def write_pictures(report: ModelReport, path: Path) -> None:
    """Write the pictures of a report, a PDF of several pages or a PNG of all of them one below the other."""
    figures = pictures(report)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".pdf":
            with PdfPages(temporary) as document:
                for figure in figures:
                    document.savefig(figure)
        else:
            _write_stacked(figures, temporary)


def pictures(report: ModelReport) -> list[Figure]:
    """The figures: verdict, calibration, pairs of columns, single columns, dependence and learning."""
    figures = [_verdict(report)]
    if report.calibration.columns:
        figures.append(plots.calibration(report))
    corner = _corner(report)
    if corner is not None:
        figures.append(corner)
    if report.dependence.marginals:
        figures.append(_marginals(report))
    if len(report.dependence.columns) > 1 or report.learning_curve.step:
        figures.append(_dependence_and_learning(report.dependence, report.learning_curve))
    return figures


def _write_stacked(figures: list[Figure], path: Path) -> None:
    # Pillow comes with matplotlib.
    from PIL import Image

    images = []
    for figure in figures:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DPI)
        images.append(Image.open(stream))
    width = max(image.width for image in images)
    whole = Image.new("RGB", (width, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    whole.save(path, format="png")


def _verdict(report: ModelReport) -> Figure:
    verdict = report.verdict
    sentences = [*verdict.sentences, report.provenance.subsampled]
    lines = [line for text in sentences if text for line in [*textwrap.wrap(text, _CHARACTERS), ""]]
    rows = [(one.name, one.difference.value, one.difference.error) for one in verdict.baselines]
    height = 1.2 + 0.2 * len(lines) + (0.9 + 0.3 * len(rows) if rows else 0.0)
    figure = new_figure(10.0, height)
    title = figure.text(0.04, 1 - 0.25 / height, report.title, fontsize=15, fontweight="bold", va="top")
    body = figure.text(0.04, 1 - 0.75 / height, "\n".join(lines), fontsize=10.5, va="top", linespacing=1.45)
    for text in (title, body):
        text.set_parse_math(False)
    if rows:
        axes = figure.add_axes((0.24, 0.55 / height, 0.6, 0.3 * len(rows) / height))
        places = np.arange(len(rows))[::-1]
        errors = [2 * error if math.isfinite(error) else 0.0 for _, _, error in rows]
        axes.axvline(0.0, color=DATA, linewidth=0.8, linestyle="--")
        axes.errorbar([value for _, value, _ in rows], places, xerr=errors, fmt="o", color=SAMPLES, markersize=4)
        axes.set_yticks(places, [name for name, _, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("gain in nats per row, ± 2 standard errors", fontsize=8)
        tidy(axes)
    return figure


def _corner(report: ModelReport) -> Figure | None:
    points = report.points
    order = [*points.worst_first, *(name for name in points.columns if name not in points.worst_first)]
    # Levels on a scale of numbers would say little.
    discrete = {column.name for column in report.columns if column.discrete}
    known = [name for name in order if name in points.columns]
    chosen = ([name for name in known if name not in discrete] or known)[:MOST_IN_CORNER]
    places = sorted(points.columns.index(name) for name in chosen)
    data, draws = (np.array(part, dtype=np.float64)[:, places] for part in (points.data, points.draws))
    if not all(np.isfinite(part).all(1).any() for part in (data, draws)):
        return None
    return plots.corner(data, draws, [points.columns[place] for place in places], title="Rows against draws")


def _marginals(report: ModelReport) -> Figure:
    axes_of = {column.name: (column.level_codes, column.levels) for column in report.columns if column.levels}
    shown = sorted(report.dependence.marginals, key=lambda marginal: marginal.adjusted)[:MOST_MARGINALS]
    across = min(4, len(shown))
    down = math.ceil(len(shown) / across)
    figure = new_figure(_WIDTH, 0.3 + 2.0 * down)
    for place, marginal in enumerate(shown):
        axes = figure.add_subplot(down, across, place + 1)
        if marginal.discrete:
            _bars(axes, marginal)
        elif len(marginal.edges) > 1:
            widths = np.diff(marginal.edges)
            axes.stairs(np.array(marginal.data) / widths, marginal.edges, fill=True, color=DATA, alpha=0.55)
            axes.stairs(np.array(marginal.draws) / widths, marginal.edges, color=SAMPLES, linewidth=1.2)
            _name_places(axes, *axes_of.get(marginal.column, ([], [])), marginal.edges)
        axes.set_yticks([])
        axes.set_title(marginal.column, fontsize=8.5).set_parse_math(False)
        tidy(axes)
    figure.tight_layout()
    return figure


def _bars(axes: Axes, marginal: Marginal) -> None:
    places = np.arange(len(marginal.labels))
    axes.bar(places - 0.2, marginal.data, 0.4, color=DATA, alpha=0.55)
    axes.bar(places + 0.2, marginal.draws, 0.4, color=SAMPLES)
    every = max(1, math.ceil(len(places) / MOST_TICKS))
    long = max(map(len, marginal.labels), default=0) > 3
    turn, side = (30, "right") if long else (0, "center")
    axes.set_xticks(places[::every], [label[:10] for label in marginal.labels[::every]], rotation=turn, ha=side)


def _name_places(axes: Axes, codes: list[float], texts: list[str], edges: list[float]) -> None:
    """Name values such as dates, where the axis has their codes."""
    inside = [place for place, code in enumerate(codes) if edges[0] <= code <= edges[-1]]
    if inside:
        chosen = [inside[round(part * (len(inside) - 1))] for part in (0.15, 0.5, 0.85)]
        axes.set_xticks([codes[place] for place in chosen], [texts[place] for place in chosen])


def _dependence_and_learning(dependence: Dependence, curve: LearningCurve) -> Figure:
    figure = new_figure(10.0, 3.8)
    if len(dependence.columns) > 1:
        axes = figure.add_subplot(1, 2, 1)
        difference = np.array(dependence.difference, dtype=np.float64)
        # Chance looks like chance, and a large difference has its size on the scale.
        most = max(0.2, float(np.nanmax(np.abs(difference))))
        image = axes.imshow(difference, cmap="PuOr", vmin=-most, vmax=most)
        places = np.arange(len(dependence.columns))
        labels = [name[:14] for name in dependence.columns]
        axes.set_xticks(places, labels, rotation=45, ha="right")
        axes.set_yticks(places, labels)
        axes.set_title("Rank correlations of draws less those of rows", fontsize=9)
        tidy(axes)
        figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
    if curve.step:
        axes = figure.add_subplot(1, 2, 2)
        train = np.array([math.nan if value is None else value for value in curve.train])
        axes.plot(curve.step, train, color=DATA_LINE, linewidth=1.2, label="training rows")
        axes.plot(curve.step, curve.held_out, color=SAMPLES, linewidth=1.4, label="held-out rows")
        if curve.best_step >= 0:
            axes.axvline(curve.best_step, color=DATA, linewidth=0.8, linestyle="--")
        later = np.array(curve.held_out)[len(curve.held_out) // 10 :]
        reach = float(np.nanmax(later) - np.nanmin(later)) or 1.0
        highest = max(float(np.nanmax(later)), float(np.nanmax(train)) if np.isfinite(train).any() else -math.inf)
        axes.set_ylim(float(np.nanmin(later)) - 0.3 * reach, highest + 0.1 * reach)
        axes.set_xlabel("steps", fontsize=8)
        axes.set_title("Nats per row during training", fontsize=9)
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    figure.tight_layout()
    return figure

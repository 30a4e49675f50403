"""Whether the values of columns lie evenly in their distributions: the curves of a report, as a figure."""

import math
import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward.errors import InputError
from pushforward.evaluation.plots.arguments import check_path
from pushforward.evaluation.plots.style import DATA, DATA_LINE, SAMPLES, new_figure, save, tidy
from pushforward.evaluation.report.contents import Calibration, ColumnCalibration, ModelReport

_IN_A_ROW = 4
_CALIBRATED = "calibrated"


def calibration(report: ModelReport | Calibration, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the calibration of every column, those that are least calibrated first.

    The line is the empirical distribution function of the probability integral transforms less the probability: 0
    everywhere if the model is right. It lies within the band everywhere at once with 95 %. It is colored where the
    report finds a fault, after the correction for all of its tests.

    Arguments:
        report: what `pushforward.report` found, or its calibration.
        path: file to write, PNG unless its name ends in .pdf or .svg; default None writes no file.

    Returns:
        The figure.

    Raises:
        InputError: what is given is not a report, or has no calibration of columns, or the file cannot be written.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> table = np.random.default_rng(0).normal(size=(400, 2))
        >>> model = pf.fit_table(table[:300], flow="nice", max_steps=20).model
        >>> figure = calibration(pf.report(model, table[300:]))
        >>> len(figure.axes)
        2
    """
    check_path(path)
    found = report.calibration if isinstance(report, ModelReport) else report
    if not isinstance(found, Calibration):
        raise InputError(
            "A picture of calibration is drawn of what pf.report(model, data) returns, or its calibration, and "
            f"{type(report).__name__} is neither."
        )
    columns = sorted(found.columns, key=lambda column: column.adjusted)
    if not columns:
        raise InputError("This report has no calibration of columns, so that there is nothing to draw.")
    across = min(_IN_A_ROW, len(columns))
    down = math.ceil(len(columns) / across)
    figure = new_figure(10.0, 0.4 + 2.1 * down)
    for place, column in enumerate(columns):
        _draw(figure.add_subplot(down, across, place + 1), column)
    figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def _draw(axes: Axes, column: ColumnCalibration) -> None:
    axes.fill_between(column.grid, column.band_low, column.band_high, color=DATA, alpha=0.3, linewidth=0)
    axes.axhline(0.0, color=DATA, linewidth=0.6)
    axes.plot(column.grid, column.ecdf, color=DATA_LINE if column.shape == _CALIBRATED else SAMPLES, linewidth=1.3)
    axes.set_xlim(0.0, 1.0)
    title = axes.set_title(f"{column.column}: {column.shape}", fontsize=8.5)
    title.set_parse_math(False)
    axes.set_xlabel("probability integral transform", fontsize=8)
    tidy(axes)

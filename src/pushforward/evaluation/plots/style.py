"""What the figures have in common: colors, resolution, and files."""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pushforward.support.atomic import atomic_path

DATA = "#8c8c8c"
DATA_LINE = "#3c3c3c"
SAMPLES = "#d55e00"  # vermilion: stands out from gray for every common kind of color vision
DPI = 160


def new_figure(width: float, height: float) -> Figure:
    """A white figure that no window shows, of a size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """Small ticks and thin frames."""
    axes.tick_params(labelsize=8, length=2.0, width=0.5, pad=1.5, color="#666666", labelcolor="#333333")
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)
        spine.set_color("#666666")


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, as PNG unless its name ends in .pdf or .svg."""
    ending = Path(path).suffix[1:].lower()
    kind = ending if ending in ("pdf", "svg") else "png"
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, format=kind, dpi=DPI)

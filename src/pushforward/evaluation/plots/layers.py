"""A flow layer by layer: how a grid and points of the base density become the data."""

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pushforward.bijections import Bijection, Compose, Standardized
from pushforward.errors import InputError
from pushforward.evaluation.plots.style import DATA, SAMPLES, new_figure, save, tidy
from pushforward.flow import Flow
from pushforward.support.seeding import seeded

_POINTS, _LINES, _ALONG, _REACH = 600, 13, 121, 3.0
_MOST_STAGES, _IN_A_ROW = 8, 4


def layers(
    flow: Flow,
    path: str | os.PathLike[str] | None = None,
    *,
    pair: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Figure:
    """Draw what each layer of a flow does to a grid and to draws of its base density.

    The grid lies in the plane of two latent coordinates, from -3 to 3, all others 0. Points are colored by where in
    that plane they come from. Of more than eight stages eight are drawn, the first and the last among them.

    Arguments:
        flow: unconditional, of at least two features.
        path: file to write, PNG unless its name ends in .pdf or .svg; default None writes no file.
        pair: the two features that are drawn, default the first two.
        names: of all features, for the axes of the last picture.
        seed: of the points, default 0.

    Returns:
        The figure.

    Raises:
        InputError: a flow with a context, or of one feature; a pair that is not of two of its features.

    Example:
        >>> import pushforward as pf
        >>> figure = pf.plots.layers(pf.maf(features=2, layers=3))
        >>> len(figure.axes)
        4
    """
    if flow.context_features or flow.features < 2:
        raise InputError("Layers are drawn of an unconditional flow of at least two features.")
    if len(set(pair)) != 2 or not all(0 <= feature < flow.features for feature in pair):
        raise InputError(f"A pair needs two of the features 0 to {flow.features - 1}, got {pair}.")
    with torch.no_grad(), seeded(seed, flow.reference.device):
        points, lines = flow.base.sample((_POINTS,)), _grid(flow, pair)
        stages = [(points, lines)]
        for step in _steps(flow.bijection):
            points, lines = step(points)[0], step(lines)[0]
            stages.append((points, lines))
    chosen = np.unique(np.linspace(0, len(stages) - 1, min(_MOST_STAGES, len(stages))).round().astype(int))
    angle = torch.atan2(stages[0][0][:, pair[1]], stages[0][0][:, pair[0]]).cpu().numpy()
    across = min(_IN_A_ROW, len(chosen))
    down = math.ceil(len(chosen) / across)
    figure = new_figure(2.5 * across, 2.6 * down)
    for place, stage in enumerate(chosen.tolist()):
        axes = figure.add_subplot(down, across, place + 1)
        drawn, curves = (part[..., list(pair)].cpu().double().numpy() for part in stages[stage])
        _draw(axes, drawn, curves, angle)
        last = stage == len(stages) - 1
        name = "base" if stage == 0 else f"after {stage} of {len(stages) - 1}"
        axes.set_title(f"{name}: data" if last else name, fontsize=8.5)
        if last and names is not None:
            axes.set_xlabel(names[pair[0]], fontsize=8).set_parse_math(False)
            axes.set_ylabel(names[pair[1]], fontsize=8).set_parse_math(False)
    figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def _steps(bijection: Bijection) -> Iterator[Bijection]:
    """The maps that a bijection does one after the other."""
    if isinstance(bijection, Compose):
        for part in bijection:
            yield from _steps(part)
    elif type(bijection) is Standardized:
        yield from _steps(bijection.bijection)
        yield bijection.data
    else:
        yield bijection


def _grid(flow: Flow, pair: tuple[int, int]) -> Tensor:
    """Lines of both directions in the plane of a pair, (lines, points, D)."""
    fixed, free = torch.meshgrid(
        torch.linspace(-_REACH, _REACH, _LINES), torch.linspace(-_REACH, _REACH, _ALONG), indexing="ij"
    )
    lines = torch.zeros(2 * _LINES, _ALONG, flow.features)
    lines[:_LINES, :, pair[0]], lines[:_LINES, :, pair[1]] = fixed, free
    lines[_LINES:, :, pair[0]], lines[_LINES:, :, pair[1]] = free, fixed
    return lines.to(flow.reference)


def _draw(axes: Axes, points: np.ndarray, lines: np.ndarray, angle: np.ndarray) -> None:
    for order, line in enumerate(lines):
        axes.plot(line[:, 0], line[:, 1], color=DATA if order < _LINES else SAMPLES, linewidth=0.5, alpha=0.6)
    axes.scatter(points[:, 0], points[:, 1], c=angle, cmap="hsv", s=3, linewidths=0, alpha=0.85)
    for axis, column in zip("xy", points.T, strict=True):
        low, high = np.quantile(column, [0.002, 0.998])
        margin = 0.05 * (high - low) or 0.5
        axes.set(**{f"{axis}lim": (low - margin, high + margin)})
    tidy(axes)

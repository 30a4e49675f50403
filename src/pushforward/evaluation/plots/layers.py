"""A flow layer by layer: how a grid and points of the base density become the data."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.errors import InputError
from pushforward.evaluation.plots.arguments import check_path, matrix, texts
from pushforward.evaluation.plots.style import DATA, SAMPLES, new_figure, save, tidy
from pushforward.flow import Flow, PointDensity
from pushforward.support.arguments import check_seed, is_whole
from pushforward.support.seeding import seeded

_POINTS, _LINES, _ALONG, _REACH = 600, 13, 121, 3.0
_MOST_STAGES, _IN_A_ROW = 8, 4


def layers(
    flow: PointDensity,
    path: str | os.PathLike[str] | None = None,
    *,
    context: ArrayLike | None = None,
    pair: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Figure:
    """Draw what each layer of a flow does to a grid and to draws of its base density.

    The grid lies in the plane of two latent coordinates, from -3 to 3, all others 0. Points are colored by where in
    that plane they come from. Of more than eight stages eight are drawn, the first and the last among them.
    Of a mixture the flow of the largest weight is drawn, and a title says so; where all of its parts are estimates such
    as kernels, the heaviest of them.

    Arguments:
        flow: of at least two features, such as `model.flow` of a fit, which may be a mixture of flows.
        path: file to write, PNG unless its name ends in .pdf or .svg; default None writes no file.
        context: of a conditional flow, the numbers that it is given, (C,); default none.
        pair: the two features that are drawn, default the first two.
        names: of all features, for the axes of the last picture.
        seed: of the points, default 0.

    Returns:
        The figure.

    Raises:
        InputError: what has no layers, or one feature; a conditional flow without a context; a pair that is not of two
            of its features; or a file that cannot be written.

    Example:
        >>> import pushforward as pf
        >>> figure = pf.plots.layers(pf.maf(features=2, layers=3))
        >>> len(figure.axes)
        4
    """
    shown, title = _heaviest(flow)
    check_path(path)
    check_seed(seed)
    _check_pair(pair, shown.features)
    labels = None if names is None else texts(names, shown.features)
    given = _context(context, shown)
    with torch.no_grad(), seeded(seed, shown.reference.device):
        parts = [shown.base.sample((_POINTS,)), _grid(shown, pair)]
        stages = [parts, *map(list, zip(*(shown.bijection.stages(part, given) for part in parts), strict=True))]
    chosen = np.unique(np.linspace(0, len(stages) - 1, min(_MOST_STAGES, len(stages))).round().astype(int))
    angle = torch.atan2(parts[0][:, pair[1]], parts[0][:, pair[0]]).cpu().numpy()
    across = min(_IN_A_ROW, len(chosen))
    down = math.ceil(len(chosen) / across)
    figure = new_figure(2.5 * across, 2.6 * down + 0.3 * bool(title))
    for place, stage in enumerate(chosen.tolist()):
        axes = figure.add_subplot(down, across, place + 1)
        drawn, curves = (part[..., list(pair)].cpu().double().numpy() for part in stages[stage])
        _draw(axes, drawn, curves, angle)
        last = stage == len(stages) - 1
        name = "base" if stage == 0 else f"after {stage} of {len(stages) - 1}"
        axes.set_title(f"{name}: data" if last else name, fontsize=8.5)
        if last and labels is not None:
            axes.set_xlabel(labels[pair[0]], fontsize=8).set_parse_math(False)
            axes.set_ylabel(labels[pair[1]], fontsize=8).set_parse_math(False)
    if title:
        figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    if path is not None:
        save(figure, path)
    return figure


def _heaviest(flow: Any) -> tuple[Flow, str]:
    """A flow, or that of a mixture with the largest weight, and what is to be said of it."""
    parts = getattr(flow, "parts", None)
    if parts is None:
        raise InputError(
            "Layers are drawn of a flow, such as pf.maf(features=2) or the model.flow of "
            f'pf.fit_table(table, flow="nsf"); {type(flow).__name__} has none.'
        )
    # Kernels at the rows, and the like, have little more than the way into the units of the data.
    weight, shown = max(parts, key=lambda part: (not part[1].base.of_rows, part[0]))
    if shown.features < 2:
        raise InputError("Layers are drawn of a flow of at least two features, and this one has one.")
    if len(parts) == 1:
        return shown, ""
    if shown.base.of_rows:
        return shown, f"The heaviest of {len(parts)} densities, of weight {weight:.2f}; none is a flow with more layers"
    return shown, f"The heaviest flow of a mixture of {len(parts)} densities, of weight {weight:.2f}"


def _check_pair(pair: Any, features: int) -> None:
    whole = isinstance(pair, Sequence) and len(pair) == 2 and all(map(is_whole, pair))
    if not whole or pair[0] == pair[1] or not all(0 <= feature < features for feature in pair):
        raise InputError(f"A pair needs two of the features 0 to {features - 1}, got {pair!r}.")


def _context(context: ArrayLike | None, flow: Flow) -> Tensor | None:
    """The context as one of the flow."""
    wanted = flow.context_features
    if context is None:
        if wanted:
            raise InputError(
                f"Layers of a conditional flow are drawn given one context: pass context, of shape ({wanted},)."
            )
        return None
    given = matrix(context, "context", "A picture of layers")
    if given.shape != (wanted,):
        raise InputError(f"The context has shape {given.shape}, and this flow is given contexts of shape ({wanted},).")
    return torch.from_numpy(given).to(flow.reference)


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

"""What a page needs of a flow to show it at work: its weights, some latent points, some rows, and how to read axes."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.evaluation.report.contents import Points
from pushforward.exports.javascript import flow_as_json
from pushforward.flow import Flow
from pushforward.support.seeding import seeded, uniform_noise
from pushforward.table_models.model import TableModel
from pushforward.tables.columns.columns import Columns
from pushforward.zoo.flow_mixture import FlowMixture

# Points that move through the layers, and rows that a reader may choose.
LATENTS, ROWS = 500, 300
# Places at which the axis of a column is translated into its values.
LOOKUP = 65
NO_LAYERS = (
    "This model answers questions about any columns given any others. It is a product of conditional densities, one "
    "column after the other, and has no layers that carry whole rows from the base to the data: its conditionals are "
    "shown under calibration, and what it draws under data against draws."
)
# Characters of weights that fit in a page of 6 MB beside all else.
MOST_CHARACTERS = 4_500_000


class Shown(NamedTuple):
    """The flow that a page can show, and its weight in the model: 1 unless the model is a mixture."""

    described: dict[str, Any]
    flow: Flow
    weight: float
    parts: int


def flow_figure(model: TableModel, points: Points, seed: int = 0) -> tuple[dict[str, Any] | None, str]:
    """The flow of a model as the page shows it, or None and the reason why it cannot.

    Arguments:
        model: fitted to a table.
        points: rows of the table, as codes.
        seed: of the latent points, and of the noise that spreads discrete columns.

    Returns:
        Plain JSON, with columns in the flow's order, and a sentence for the reader.
    """
    if model.arbitrary_conditions:
        return None, NO_LAYERS
    try:
        shown = _shown(model.flow)
    except InputError as error:
        return None, str(error)
    roles, maps = model.roles, Columns(model.roles.schema, model.roles.features)
    names = [*roles.features, *roles.context]
    codes = np.array(points.data, dtype=np.float64)[:, [points.columns.index(name) for name in names]]
    codes = codes[np.isfinite(codes).all(1)][:ROWS]
    if not len(codes):
        return None, "No row that was looked at is complete, so that none can be followed through the flow."
    features = torch.from_numpy(codes[:, : maps.features].copy())
    y = maps.encode(features, uniform_noise(features.shape, seed))[0]
    context = None
    if roles.context:
        context = roles.shown_context(torch.from_numpy(codes[:, maps.features :].copy()))
    with seeded(seed), torch.no_grad():
        latents = shown.flow.base.sample((LATENTS,))
    figure = {
        "flow": shown.described,
        "columns": _axes(model, maps, y),
        "given": list(roles.context),
        "latents": _rounded(latents),
        "rows": _rounded(y),
        "texts": _texts(model, codes, names),
        "contexts": None if context is None else _rounded(context),
    }
    return figure, _note(shown)


def _shown(flow: Any) -> Shown:
    """The flow itself, or the heaviest part of a mixture that can be shown."""
    if not isinstance(flow, FlowMixture):
        return Shown(_small(flow), flow, 1.0, 1)
    for weight, part in sorted(flow.parts, key=lambda part: -part[0]):
        with contextlib.suppress(InputError):
            return Shown(_small(part), part, weight, len(flow.parts))
    raise InputError(
        f"The model is a mixture of {len(flow.parts)} densities, such as kernel estimates, and none of them is a flow "
        "with layers to show."
    )


def _small(flow: Flow) -> dict[str, Any]:
    try:
        described = flow_as_json(flow)
    except InputError as error:
        # What a page can show instead is of no use to its reader.
        why = str(error).split(";")[0].rstrip(".")
        raise InputError(
            f"{why}: this flow is not shown here. In Python, pf.plots.layers(model.flow) draws its layers."
        ) from error
    characters = sum(map(_characters, described.values()))
    if characters > MOST_CHARACTERS:
        raise InputError(
            f"The weights of this flow take {characters / 1e6:.1f} MB, too much for a page: it is not shown here."
        )
    return described


def _characters(value: Any) -> int:
    """How many characters the arrays within a description have."""
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    if isinstance(value, list):
        return sum(map(_characters, value)) if value and isinstance(value[0], dict) else 4 * len(value)
    return len(value) if isinstance(value, str) else 8


def _note(shown: Shown) -> str:
    if shown.parts == 1:
        return ""
    return (
        f"The model is a mixture of {shown.parts} densities; shown is its heaviest flow, of weight {shown.weight:.2f}, "
        "and the densities here are those of this flow."
    )


def _axes(model: TableModel, maps: Columns, y: Tensor) -> list[dict[str, Any]]:
    """For each column its name, whether the flow sees its values as they are, and else how to translate them."""
    roles = model.roles
    trivial = [places.tolist() for places, part in zip(maps.places, maps.maps, strict=True) if part.trivial]
    plain = {place for places in trivial for place in places}
    low, high = y.amin(0), y.amax(0)
    margin = 0.15 * (high - low)
    steps = torch.linspace(0, 1, LOOKUP, dtype=torch.float64)[:, None]
    grid = torch.lerp(low - margin, high + margin, steps)
    codes = maps.decode(grid).numpy()
    texts = _texts(model, codes, roles.features)
    axes = []
    for place, name in enumerate(roles.features):
        axis: dict[str, Any] = {"name": name, "plain": place in plain, "discrete": roles.schema[name].discrete}
        if place not in plain:
            axis["at"] = _rounded(grid[:, place])
            axis["texts"] = [row[place] for row in texts]
        axes.append(axis)
    return axes


def _texts(model: TableModel, codes: np.ndarray, names: list[str]) -> list[list[str]]:
    """The values that codes stand for as short texts, row by row."""
    table = model.roles.decode(codes, names)
    columns = [[_text(value) for value in column.to_pylist()] for column in table]
    return [list(row) for row in zip(*columns, strict=True)]


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _rounded(values: Tensor) -> list[Any]:
    """Numbers with seven digits: a page does not need more."""
    found: list[Any] = (
        np.array([float(f"{value:.7g}") for value in values.double().flatten().tolist()])
        .reshape(tuple(values.shape))
        .tolist()
    )
    return found

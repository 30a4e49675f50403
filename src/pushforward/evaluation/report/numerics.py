"""How exactly and how fast a model computes, on rows of a report."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections import LU, Autoregressive, Bijection, Compose, Coupling, Inverse, Standardized
from pushforward.evaluation.report.contents import LayerBox, LayerCondition, Numerics
from pushforward.evaluation.report.evidence import Evidence, draws_like
from pushforward.flow import Flow, PointDensity
from pushforward.table_models.model import TableModel
from pushforward.tables.columns.columns import Columns

ROWS, ROWS_OF_JACOBIAN, ROWS_OF_TIMING = 1000, 16, 2000
# Of more features a Jacobian takes long.
MOST_FEATURES = 200


def numerics(evidence: Evidence) -> Numerics:
    """Round trips, log-determinants against automatic differentiation, boxes, conditions of matrices, and speed.

    Values beyond the box of a layer of splines lie on its straight ends. A mixture of flows is looked at flow by flow,
    and the worst value is given.
    """
    model = evidence.model
    some = evidence.codes[:ROWS_OF_TIMING]
    scored, drawn = (
        _per_second(work, len(some)) for work in (lambda: model.log_prob(some), lambda: draws_like(model, some, 0))
    )
    precision = str(model.flow.reference.dtype).removeprefix("torch.")
    if model.arbitrary_conditions:
        note = "A model of any columns given any others is a product of conditionals: there is no one map to check."
        nothing = (math.nan, math.nan, math.nan, "D steps", "D passes")
        return Numerics(precision, len(some), *nothing, [], [], scored, drawn, note)
    y, context = _points(evidence)
    flows = [flow for _, flow in _flows(model)]
    trips, trips64, log_dets, notes = [], [], [], []
    for flow in flows:
        exact = copy.deepcopy(flow).double()
        found = {
            "round trip": lambda flow=flow: trips.append(_round_trip(flow, y, context)),
            "round trip in double precision": lambda flow=exact: trips64.append(_round_trip(flow, y, context)),
            "log-determinant": lambda flow=exact: log_dets.append(_log_det(flow, y, context)),
        }
        for name, check in found.items():
            try:
                check()
            except (NotImplementedError, RuntimeError) as error:
                notes.append(f"{name}: {' '.join(str(error).split())[:200]}")
    boxes = [one for number, flow in enumerate(flows) for one in _boxes(flow, y, context, _name(number, flows))]
    conditions = [one for number, flow in enumerate(flows) for one in _conditions(flow, _name(number, flows))]
    cost = flows[0].bijection.cost
    return Numerics(
        precision=precision,
        rows=len(y),
        round_trip=max(trips, default=math.nan),
        round_trip_float64=max(trips64, default=math.nan),
        log_det=max(log_dets, default=math.nan),
        cost_forward=cost.forward,
        cost_inverse=cost.inverse,
        boxes=boxes,
        conditions=conditions,
        scored_per_second=scored,
        drawn_per_second=drawn,
        note="; ".join(dict.fromkeys(notes)),
    )


def _flows(model: TableModel) -> list[tuple[float, Flow]]:
    """The weights and flows of which a density is a mixture."""
    return cast("PointDensity", model.flow).parts


def _name(number: int, flows: list[Flow]) -> str:
    return f"flow {number + 1}, " if len(flows) > 1 else ""


def _points(evidence: Evidence) -> tuple[Tensor, Tensor | None]:
    """What the flow takes of the first rows: values of columns on the whole line, and a context."""
    roles = evidence.model.roles
    features, context = roles.inputs(torch.from_numpy(evidence.codes[:ROWS]))
    columns = Columns(roles.schema, roles.features)
    y, _ = columns.encode(features[:, : len(roles.features)], torch.full((len(roles.features),), 0.5))
    return y, None if context is None else roles.shown_context(context)


def _per_second(work: Callable[[], object], rows: int) -> float:
    work()
    start = time.perf_counter()
    work()
    return rows / max(time.perf_counter() - start, 1e-9)


@torch.inference_mode()
def _round_trip(flow: Flow, y: Tensor, context: Tensor | None) -> float:
    """The largest |f(f⁻¹(y)) - y|, in standard deviations of y."""
    back = flow.to_data(flow.to_latent(y, context), context).double()
    return float(((back - y).abs() / y.std(0).clamp_min(1e-12)).max())


def _log_det(flow: Flow, y: Tensor, context: Tensor | None) -> float:
    """The largest difference of log_det and that of the Jacobian, of a few rows."""
    if flow.features > MOST_FEATURES:
        return math.nan
    worst = 0.0
    for row in range(min(ROWS_OF_JACOBIAN, len(y))):
        given = None if context is None else context[row]
        jacobian = torch.func.jacrev(lambda v, given=given: flow.bijection.inverse(v, given)[0])(y[row])
        truth = torch.linalg.slogdet(jacobian).logabsdet
        worst = max(worst, float((flow.bijection.inverse(y[row], given)[1] - truth).abs().detach()))
    return worst


def _inner(bijection: Bijection, x: Tensor, context: Tensor | None) -> Iterator[tuple[Bijection, Tensor]]:
    """The layers of a map, from the data to the base, each with what its inverse is given of x."""
    if isinstance(bijection, Compose):
        for part in reversed(list(bijection)):
            yield from _inner(part, x, context)
            x = part.inverse(x, context)[0]
    elif isinstance(bijection, Standardized):
        y, seen, _ = bijection.standardize(x, context)
        yield from _inner(bijection.bijection, y, seen)
    elif isinstance(bijection, Inverse):
        yield from (
            (part, value) for part, value in _inner(bijection.bijection, bijection.inverse(x, context)[0], context)
        )
    else:
        yield bijection, x


@torch.inference_mode()
def _boxes(flow: Flow, y: Tensor, context: Tensor | None, name: str) -> list[LayerBox]:
    """The shares of values outside the boxes of layers whose univariate maps have one, from the data to the base."""
    found = []
    for number, (layer, x) in enumerate(_inner(flow.bijection, y, context)):
        if not isinstance(layer, Autoregressive | Coupling):
            continue
        bound = getattr(layer.univariate, "bound", None)
        if bound is not None:
            values = x[:, layer.transformed] if isinstance(layer, Coupling) else x
            share = float((values.abs() > bound).double().mean())
            found.append(LayerBox(f"{name}layer {number + 1} from the data", share))
    return found


@torch.inference_mode()
def _conditions(flow: Flow, name: str) -> list[LayerCondition]:
    """The conditions of the matrices of linear layers."""
    found = []
    for path, layer in flow.bijection.named_modules():
        if isinstance(layer, LU):
            origin = torch.zeros(1, layer.features, dtype=layer.shift.dtype)
            basis = torch.eye(layer.features, dtype=layer.shift.dtype)
            matrix = (layer(basis)[0] - layer(origin)[0]).double()
            values = np.linalg.svd(matrix.numpy(), compute_uv=False)
            found.append(LayerCondition(f"{name}{path or 'the map'}", float(values[0] / max(values[-1], 1e-300))))
    return found

"""Fits of flows to tables: what the columns are, which flow, how it is trained, and how it compares with a Gaussian."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pushforward.bijections import MarginalSpline
from pushforward.errors import InputError
from pushforward.evaluation.baselines import gaussian_log_likelihood
from pushforward.flow import Flow
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity, input_widths
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.auxiliary_columns import check_errors
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.deconvolved import DeconvolvedDensity
from pushforward.table_models.dequantized import POINTS_IN_TRAINING, DequantizedDensity
from pushforward.table_models.in_memory import InMemoryTable, Split
from pushforward.table_models.model import TableModel
from pushforward.table_models.streamed import StreamedTable
from pushforward.table_models.streaming import is_large
from pushforward.tables import (
    Columns,
    Schema,
    check_columns,
    check_for_fitting,
    column_names,
    encode,
    parse_schema,
    read_columns,
    read_schema,
    table_from_frame,
)
from pushforward.tables.schema.kinds import Continuous
from pushforward.training import History, evaluate, fit
from pushforward.training.settings import Settings
from pushforward.zoo.recipe import Recipe, choose_arbitrary_conditional, choose_recipe, knots_for

MINIMUM_ROWS = 20
VALIDATION_FRACTION = 0.1
# Held-out rows that p-values are calibrated on, at most: more take time and say little more.
CALIBRATION_ROWS = 100_000
MOST_LINES = 30
# Rows that give the covariance on which a model of any columns given any others builds.
COVARIANCE_ROWS = 10_000


@dataclass
class Fit:
    """A fitted model and how it compares.

    Attributes:
        model: the density over the table's columns.
        history: the course of the training.
        held_out: mean log-likelihood of the held-out rows under the model, nats per row in the data's units.
        gaussian: the same rows under the full-covariance Gaussian of the training rows; None with too few rows.
    """

    model: TableModel
    history: History
    held_out: float
    gaussian: float | None


def fit_table(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    given: Sequence[str] = (),
    flow: str | None = None,
    schema: Any = None,
    arbitrary_conditions: bool = False,
    weight: Any = None,
    errors: Mapping[str, str] | None = None,
    seed: int = 0,
    max_time: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
    **training: Any,
) -> Fit:
    """Fit p(columns | given) to a table.

    Columns are made nearly normal inside the model, and the change of units is counted: densities are in the table's
    own units. One row in ten, chosen by the seed, is held out: it decides when training stops, and gives the held-out
    nats.

    Arguments:
        data: a CSV, Parquet or Feather file, or a table in memory: pandas, polars, pyarrow; numpy with columns named
            0, 1, ....
        columns: columns to model, default all that are not given.
        given: columns to condition on, default none.
        flow: a named architecture with its own defaults; by default `pushforward.zoo.recipe` chooses architecture, size
            and training from the table and the time.
        schema: what some of the columns are, where it should not be learned: a JSON file, or
            {column: {"kind": kind, option: value}} as in `pushforward.tables.schema.kinds`.
        arbitrary_conditions: whether the model answers p(any columns | any others), default False. Tables with missing
            values or angles, and those with categories or angles among the given columns, have such a model always.
            A table of more than 128 MB, which is streamed from its file, has one for angles only if it is asked for.
        weight: a column of row weights, which is not modelled, or one number for each row: by these rows count in the
            split, the quantiles, the loss, the held-out value, the Gaussian and the p-values; rows of weight 0 are left
            out. Of a table that is streamed from its file it is a column.
        errors: {column: column of its measurement errors}, standard deviations of independent normal noise. The model
            is then that of the true values, as `pushforward.table_models.deconvolved` explains; columns with errors
            are continuous.
        seed: of the split, the initial weights and the batches.
        max_time: most seconds of training; by default it goes on until it stops gaining.
        announce: is told, before the training, what was chosen and why, line by line.
        training: options of `pushforward.fit`, instead of those chosen: epochs, device, precision, progress, ....

    Returns:
        The model, the history, and held-out nats beside a Gaussian's.

    Raises:
        InputError: a table that cannot be fitted (one sentence names file, column and first row), or a bad option.
        TrainingError: training met too many numbers that are not finite.
    """
    source = os.fspath(data) if isinstance(data, str | os.PathLike) else "the table"
    errors = dict(errors or {})
    declared = read_schema(schema) if isinstance(schema, str | os.PathLike) else parse_schema(schema or {})
    declared = {**dict.fromkeys(errors, Continuous(heavy=False)), **declared}
    quiet = training.get("progress") is False
    table = _open(data, columns, given, declared, weight, errors, seed, source, quiet)
    names = table.sample.column_names
    if given:
        check_columns(given, names, source=source)
    columns = [name for name in names if name not in given] if columns is None else list(columns)
    if not columns:
        raise InputError(f"{source} has no columns left to model: all of them are given.")
    learned = _as_given(table.learn(), given, declared)
    names = [*columns, *given]
    table.check(learned, names)
    matrix = encode(table.sample, learned, names, source=source)
    varying = [[name for name in part if learned[name].modelled] for part in (columns, given)]
    gaps, streamed = table.gaps(matrix, names), isinstance(table, StreamedTable)
    arbitrary_conditions = arbitrary_conditions or _needs_arbitrary_conditions(
        gaps, varying, learned, flow, source, streamed
    )
    if arbitrary_conditions and errors:
        raise InputError("Measurement errors go with complete tables of numbers only: leave out gaps and angles.")
    if arbitrary_conditions and flow is not None:
        raise InputError(f"A model of any columns given any others has an architecture of its own; leave out {flow}.")
    dense = [name for name in names if learned[name].dense]
    _check_dense(matrix, names, dense, source, MINIMUM_ROWS)
    if not varying[0]:
        raise InputError(f"{source} has no column to model that varies: a constant needs no model.")
    places = {name: place for place, name in enumerate(names)}
    names = [*varying[0], *varying[1]]
    matrix = matrix[:, [places[name] for name in names]]
    features = len(names if arbitrary_conditions else varying[0])
    rows = table.split(learned, matrix, names, features)
    _check_dense(rows.train, names, dense, f"the training part of {source}", 2)

    # Before the training: columns that lie in a plane have no density, and no time should be spent on them.
    gaussian = None
    if len(dense) == len(names) and not np.isnan(matrix).any() and not errors:
        gaussian = _gaussian(rows, len(varying[0]))

    if arbitrary_conditions:
        recipe = choose_arbitrary_conditional(rows.training_rows, features, max_time)
    elif flow is None:
        recipe = choose_recipe(rows.training_rows, features, len(names) - features, max_time)
    else:
        recipe = Recipe({"architecture": flow}, knots_for(rows.training_rows), {}, ())
    options = {**recipe.training, **training}
    # Refused options are said first, and alone.
    fields = Settings.__dataclass_fields__
    known = {name: value for name, value in options.items() if name in fields and value is not None}
    Settings(**{"evaluate_every": 1, "max_steps": 1, **known, "max_time": max_time})
    for line in [*table.reasons, *_lines_of_schema(learned), *recipe.reasons]:
        announce(line)
    maps = Columns(learned, names[:features])
    model: Flow | ArbitraryConditionalFlow
    density: Any
    if arbitrary_conditions:
        model, density = _arbitrary_conditional(recipe, maps, rows, learned, names, varying[1], seed)
    else:
        model, density = _flow(recipe, maps, rows, features, seed)
    if errors:
        density = DeconvolvedDensity(density, features, [varying[0].index(name) for name in errors])
    history = fit(
        density,
        rows.data,
        rows.context,
        weights=rows.data_weights,
        validation_fraction=VALIDATION_FRACTION,
        seed=seed,
        max_time=max_time,
        **options,
    )
    fitted = TableModel(model, list(columns), list(given), {}, learned, errors)
    best = history.best_held_out
    # The held-out rows are in no order that matters.
    every = slice(None, None, -(-len(rows.held_out) // CALIBRATION_ROWS))
    if isinstance(density, DequantizedDensity) and maps.discrete:
        # With the points that scores have.
        scores = _held_out_scores(fitted, rows.held_out, features, len(names))
        best = float(np.average(scores, weights=rows.held_out_weights))
        scores = scores[every]
    else:
        scores = _held_out_scores(fitted, rows.held_out[every], features, len(names))
    fitted.calibration = Calibration.of(scores, None if rows.held_out_weights is None else rows.held_out_weights[every])
    fitted.notes = {
        "flow": recipe.flow["architecture"],
        "chosen": list(recipe.reasons),
        "rows": {"training": rows.training_rows, "held_out": len(rows.held_out)},
        "held_out_nats": best,
        "log_prob": fitted.meaning,
        "arbitrary_conditions": arbitrary_conditions,
        "gaussian_nats": gaussian,
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
    }
    return Fit(fitted, history, best, gaussian)


def _open(
    data: Any,
    columns: Sequence[str] | None,
    given: Sequence[str],
    declared: Schema,
    weight: Any,
    errors: Mapping[str, str],
    seed: int,
    source: str,
    quiet: bool,
) -> InMemoryTable | StreamedTable:
    """The columns wanted of a file or of a table in memory, and weights and errors beside them."""
    both = [name for name in columns or () if name in given]
    if both:
        raise InputError(f'Column "{both[0]}" is both modelled and given: choose one.')
    aside = list(dict.fromkeys([*errors.values(), *([weight] if isinstance(weight, str) else [])]))
    for name in aside:
        if name in (columns or ()) or name in given:
            raise InputError(f'Column "{name}" holds weights or errors, and cannot be modelled or given as well.')
    wanted = None if columns is None else list(dict.fromkeys([*columns, *given, *aside]))
    is_file = isinstance(data, str | os.PathLike)
    streamed = is_file and is_large(data, wanted)
    if streamed and not (weight is None or isinstance(weight, str)):
        raise InputError(
            f"{source} is too large for memory and is streamed: give the weights of its rows as one of its columns."
        )
    whole = None if streamed else read_columns(data, wanted) if is_file else table_from_frame(data, wanted)
    found = whole.column_names if whole is not None else wanted or column_names(data)
    if aside:
        check_columns(aside, found, source=source)
    check_errors(errors, found, columns, given, source)
    beside = list(errors.values())
    if whole is None:
        return StreamedTable(data, found, declared, seed, VALIDATION_FRACTION, weight, beside, quiet)
    return InMemoryTable(whole, declared, seed, VALIDATION_FRACTION, source, weight, beside)


def _flow(recipe: Recipe, maps: Columns, rows: Split, features: int, seed: int) -> tuple[Flow, Any]:
    """A fresh flow over the columns, given others if there are any, and its density."""
    x, context = (torch.from_numpy(part) for part in np.split(rows.train, [features], axis=1))
    model = recipe.make(
        _in_free_coordinates(maps, x, seed),
        context if context.shape[1] else None,
        seed,
        low=maps.low,
        high=maps.high,
        normal=maps.normal,
        weights=None if rows.weights is None else torch.from_numpy(rows.weights),
    )
    return model, model if maps.trivial else DequantizedDensity(maps, model, POINTS_IN_TRAINING)


def _arbitrary_conditional(
    recipe: Recipe, maps: Columns, rows: Split, schema: Schema, names: Sequence[str], given: Sequence[str], seed: int
) -> tuple[ArbitraryConditionalFlow, ArbitraryConditionalDensity]:
    """A fresh flow of any columns given any others, and its density."""
    x = torch.from_numpy(rows.train)
    y = _in_free_coordinates(maps, x, seed)
    weights = None if rows.weights is None else torch.from_numpy(rows.weights)
    model = _make_arbitrary_conditional(recipe, maps, y, input_widths(schema, names), seed, weights)
    density = ArbitraryConditionalDensity(maps, model, schema, names, given)
    density.learn_covariance(x[:COVARIANCE_ROWS])
    return model, density


def _in_free_coordinates(maps: Columns, x: torch.Tensor, seed: int) -> torch.Tensor:
    """The values that the columns' maps make of codes, with noise where they are discrete."""
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return maps.encode(x, noise)[0]


def _as_given(learned: Schema, given: Sequence[str], declared: Schema) -> Schema:
    """Conditions may take values that were not seen: no bounds are learned for them, nor levels of numbers."""
    return {
        name: column.as_condition() if name in given and name not in declared else column
        for name, column in learned.items()
    }


def _needs_arbitrary_conditions(
    gaps: Mapping[str, int],
    varying: Sequence[Sequence[str]],
    schema: Schema,
    flow: str | None,
    source: str,
    large: bool,
) -> bool:
    """Whether a table needs a model of any columns given any others; an error where a named flow cannot be had."""
    columns, given = varying
    hints = []
    for name in [*columns, *given]:
        if name in gaps and schema[name].modelled:
            hints.append(f'column "{name}" of {source} has no value in row {gaps[name]}')
    for name in given:
        column = schema[name]
        if not column.plain_condition:
            hints.append(f'the given column "{name}" of {source} is {column.describe()}')
    if hints and flow is not None:
        raise InputError(f"{hints[0]}, which {flow} does not take; leave out the architecture.")
    # With a named flow an angle is cut open where fewest rows are.
    return bool(hints) or (flow is None and not large and any(schema[name].circular for name in columns))


def _held_out_scores(model: TableModel, held_out: np.ndarray, features: int, columns: int) -> np.ndarray:
    """log_prob, (n,), of the density's codes, its context, and the errors beside them."""
    x = torch.from_numpy(np.hstack([held_out[:, :features], held_out[:, columns:]]))
    context = torch.from_numpy(held_out[:, features:columns]) if features < columns else None
    scores: np.ndarray = evaluate(model.scored, x, context).double().cpu().numpy()
    return scores


def _make_arbitrary_conditional(
    recipe: Recipe, maps: Columns, y: torch.Tensor, widths: list[int], seed: int, weights: torch.Tensor | None
) -> ArbitraryConditionalFlow:
    """The flow with fresh weights behind splines that make each column of its training rows nearly normal."""
    bounded = any(np.isfinite([*maps.low, *maps.high]))
    options = {key: value for key, value in recipe.flow.items() if key != "architecture"}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        flow = ArbitraryConditionalFlow(
            maps.features, widths, maps.circular, knots=recipe.knots, bounded=bounded, **options
        )
    flow.marginal.double()
    for place in set(range(maps.features)) - set(maps.normal):
        there = ~y[:, place].isnan()
        one = MarginalSpline.from_data(
            y[there, place][:, None],
            recipe.knots,
            low=[maps.low[place]],
            high=[maps.high[place]],
            weights=None if weights is None else weights[there],
        )
        for name, buffer in flow.marginal.named_buffers():
            if (value := getattr(one, name)) is not None:
                buffer[place] = value[0]
    return flow


def _check_dense(matrix: np.ndarray, names: Sequence[str], dense: Sequence[str], source: str, rows: int) -> None:
    """Refuse too few rows, and what no density exists for among columns that have one."""
    for place, name in enumerate(names):
        there = ~np.isnan(matrix[:, place])
        if name in dense and not there.all():
            check_for_fitting(matrix[there, place][:, None], [name], source=source, minimum_rows=2)
    places = [place for place, name in enumerate(names) if name in dense and not np.isnan(matrix[:, place]).any()]
    check_for_fitting(matrix[:, places], [names[place] for place in places], source=source, minimum_rows=rows)


def _lines_of_schema(schema: Schema) -> list[str]:
    """What is special about the columns, a line for each."""
    plain = Continuous(heavy=False)
    special = [name for name, column in schema.items() if column.model_copy(update={"missing": 0.0}) != plain]
    lines = [f'column "{name}": {schema[name].describe()}' for name in special[:MOST_LINES]]
    if len(special) > MOST_LINES:
        lines.append(f"and {len(special) - MOST_LINES} more columns that are not plain numbers")
    gaps = {name: column.missing for name, column in schema.items() if 0 < column.missing < 1}
    if gaps:
        worst = max(gaps, key=lambda name: gaps[name])
        lines.append(f'gaps in {len(gaps)} columns, most in "{worst}": {gaps[worst]:.1%} of the rows')
    return lines


def _gaussian(rows: Split, columns: int) -> float | None:
    """Mean log-likelihood under the Gaussian: p(columns | given) = p(columns, given) / p(given).

    None where a full covariance cannot be had, since there are no more rows than columns.
    """
    train, held_out = rows.train, rows.held_out
    if train.shape[0] <= train.shape[1]:
        return None
    if rows.weights is not None:
        # Rows that have the weighted mean and covariance without weights: each deviation scaled, on both sides.
        mean = np.average(train, axis=0, weights=rows.weights)
        deviation = (train - mean) * np.sqrt(rows.weights / rows.weights.mean())[:, None]
        train = np.concatenate([mean + deviation, mean - deviation])
    log_prob = gaussian_log_likelihood(train, held_out)
    if columns < train.shape[1]:
        log_prob = log_prob - gaussian_log_likelihood(train[:, columns:], held_out[:, columns:])
    return float(np.average(log_prob, weights=rows.held_out_weights))

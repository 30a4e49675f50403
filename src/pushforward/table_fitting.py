"""Fits of flows to tables: what the columns are, which flow, how it is trained, and how it compares with a Gaussian."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.any_given import AnyGivenFlow
from pushforward.any_given_density import AnyGivenDensity, input_widths
from pushforward.bijections import MarginalSpline
from pushforward.density import POINTS_IN_TRAINING, TableDensity
from pushforward.errors import InputError
from pushforward.evaluation.baselines import gaussian_log_likelihood
from pushforward.evaluation.calibration import Calibration
from pushforward.flow import Flow
from pushforward.large_table import LargeTable
from pushforward.measured import MeasuredDensity
from pushforward.recipe import Recipe, choose_any_given, choose_recipe, knots_for
from pushforward.streaming import is_large
from pushforward.table_flow import TableFlow
from pushforward.tables import (
    Columns,
    Schema,
    check_columns,
    check_for_fitting,
    codes,
    column_names,
    learn_schema,
    parse_schema,
    read_columns,
    read_schema,
    table_from_frame,
    to_table,
)
from pushforward.tables.schema import Bounded, Category, Continuous, Integer, Mixed, Periodic, Positive
from pushforward.training import History, evaluate, fit
from pushforward.training.fitting import split_table
from pushforward.training.settings import Settings
from pushforward.training.table import Table
from pushforward.weights_and_errors import check_errors, check_weights, errors_of, weights_of

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

    model: TableFlow
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
    any_given: bool = False,
    weight: Any = None,
    errors: Mapping[str, str] | None = None,
    seed: int = 0,
    max_time: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
    **training: Any,
) -> Fit:
    """Fit p(columns | given) to a table.

    Columns are made nearly normal inside the model, and the change of units is counted: densities are in the table's
    own units. One row in ten, chosen by
    the seed, is held out: it decides when training stops, and gives the held-out nats.

    Arguments:
        data: a CSV, Parquet or Feather file, or a table in memory: pandas, polars, pyarrow; numpy with columns named
            0, 1, ....
        columns: columns to model, default all that are not given.
        given: columns to condition on, default none.
        flow: a named architecture with its own defaults; by default `pushforward.recipe` chooses architecture, size and
            training from the table and the time.
        schema: what some of the columns are, where it should not be learned: a JSON file, or
            {column: {"kind": kind, option: value}} as in `pushforward.tables.schema`.
        any_given: whether the model is to answer p(any columns | any others), default False. Tables with missing
            values or angles, and those with categories or angles among the given columns, have such a model always.
            A table of more than 128 MB, which is streamed from its file, has one for angles only if it is asked for.
        weight: a column of row weights, which is not modelled, or one number for each row: by these rows count in the
            split, the quantiles, the loss, the held-out value, the Gaussian and the p-values; rows of weight 0 are left
            out. Of a table that is streamed from its file it is a column.
        errors: {column: column of its measurement errors}, standard deviations of independent normal noise. The model
            is then that of the true values, as `pushforward.measured` explains; columns with errors are continuous.
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
    both = [name for name in columns or () if name in given]
    if both:
        raise InputError(f'Column "{both[0]}" is both modelled and given: choose one.')
    declared = read_schema(schema) if isinstance(schema, str | os.PathLike) else parse_schema(schema or {})
    aside = list(dict.fromkeys([*errors.values(), *([weight] if isinstance(weight, str) else [])]))
    for name in aside:
        if name in (columns or ()) or name in given:
            raise InputError(f'Column "{name}" holds weights or errors, and cannot be modelled or given as well.')
    declared = {**dict.fromkeys(errors, Continuous(heavy=False)), **declared}
    wanted = None if columns is None else list(dict.fromkeys([*columns, *given, *aside]))
    large = None
    if isinstance(data, str | os.PathLike) and is_large(data, wanted):
        if not (weight is None or isinstance(weight, str)):
            raise InputError(
                f"{source} is too large for memory and is streamed: give the weights of its rows as one of its columns."
            )
        found = wanted or column_names(data)
        if aside:
            check_columns(aside, found, source=source)
        check_errors(errors, found, columns, given, source)
        quiet = training.get("progress") is False
        beside = (weight, list(errors.values()))
        large = LargeTable(data, found, declared, seed, VALIDATION_FRACTION, *beside, quiet)
        table, weights, noise_of = large.sample, large.weights, large.noise_of
    else:
        table = _read(data, wanted)
        if aside:
            check_columns(aside, table.column_names, source=source)
        check_errors(errors, table.column_names, columns, given, source)
        weights = None if weight is None else weights_of(table, weight, source)
        if weights is not None:
            check_weights(weights, source)
        noise_of = errors_of(table, list(errors.values()), source)
        table = table.drop_columns(aside) if aside else table
    names = table.column_names
    if given:
        check_columns(given, names, source=source)
    columns = [name for name in names if name not in given] if columns is None else list(columns)
    if not columns:
        raise InputError(f"{source} has no columns left to model: all of them are given.")
    learned = learn_schema(table, declared, source=source) if large is None else large.learn()
    learned = _as_given(learned, given, declared)
    names = [*columns, *given]
    if large is not None:
        large.check(learned, names)
    matrix = codes(table, learned, names, source=source)
    varying = [[name for name in part if learned[name].modelled] for part in (columns, given)]
    gaps = large.found.gaps if large is not None else _gaps(matrix, names)
    any_given = any_given or _asks_for_any_given(gaps, varying, learned, flow, source, large is not None)
    if any_given and errors:
        raise InputError("Measurement errors go with complete tables of numbers only: leave out gaps and angles.")
    if any_given and flow is not None:
        raise InputError(f"A model of any columns given any others has an architecture of its own; leave out {flow}.")
    dense = [name for name in names if isinstance(learned[name], Continuous | Positive | Bounded)]
    _check_dense(matrix, names, dense, source, MINIMUM_ROWS)
    if not varying[0]:
        raise InputError(f"{source} has no column to model that varies: a constant needs no model.")
    places = {name: place for place, name in enumerate(names)}
    matrix = matrix[:, [places[name] for name in [*varying[0], *varying[1]]]]
    names = [*varying[0], *varying[1]]
    features = len(names if any_given else varying[0])

    parts: tuple[Any, Any] = (None, None)
    if large is None:
        # The same rows as `fit` chooses.
        whole = np.hstack([matrix, noise_of])
        of_rows = None if weights is None else torch.from_numpy(weights)
        split = split_table(torch.from_numpy(whole), VALIDATION_FRACTION, seed, of_rows)
        training_rows, held_out_rows = (index.numpy() for index in split)
        train, held_out = matrix[training_rows], whole[held_out_rows]
        counts = (len(train), len(held_out))
        if weights is not None:
            parts = (weights[training_rows], weights[held_out_rows])
    else:
        streamed = large.rows(learned, names[:features], names[features:])
        train, held_out = matrix, _beside(streamed.held_out, features)
        if weights is not None and streamed.held_out.weights is not None:
            parts = (weights, streamed.held_out.weights[streamed.held_out.rows].numpy())
        counts = (streamed.rows, len(held_out))
    _check_dense(train, names, dense, f"the training part of {source}", 2)

    # Before the training: columns that lie in a plane have no density, and no time should be spent on them.
    gaussian = None
    if len(dense) == len(names) and not np.isnan(matrix).any() and not errors:
        gaussian = _gaussian(train, held_out, len(varying[0]), *parts)

    if any_given:
        recipe = choose_any_given(counts[0], features, max_time)
    elif flow is None:
        recipe = choose_recipe(counts[0], features, len(names) - features, max_time)
    else:
        recipe = Recipe({"architecture": flow}, knots_for(counts[0]), {}, ())
    options = {**recipe.training, **training}
    # Refused options are said first, and alone.
    fields = Settings.__dataclass_fields__
    known = {name: value for name, value in options.items() if name in fields and value is not None}
    Settings(**{"evaluate_every": 1, "max_steps": 1, **known, "max_time": max_time})
    for line in [*([] if large is None else [large.reason]), *_lines_of_schema(learned), *recipe.reasons]:
        announce(line)
    maps = Columns(learned, names[:features])
    x, context = (torch.from_numpy(part) for part in np.split(train, [features], axis=1))
    conditional = features < len(names)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = maps.encode(x, noise)[0]
    by_weight = None if parts[0] is None else torch.from_numpy(parts[0])
    model: Flow | AnyGivenFlow
    density: Any
    if any_given:
        model = _make_any_given(recipe, maps, y, input_widths(learned, names), seed, by_weight)
        density = AnyGivenDensity(maps, model, learned, names, varying[1])
        density.learn_covariance(x[:COVARIANCE_ROWS])
    else:
        of_columns = {"low": maps.low, "high": maps.high, "normal": maps.normal}
        model = recipe.make(y, context if conditional else None, seed, **of_columns, weights=by_weight)
        density = model if maps.trivial else TableDensity(maps, model, POINTS_IN_TRAINING)
    measured = [varying[0].index(name) for name in errors]
    if errors:
        density = MeasuredDensity(density, features, measured)
    # As tables, so that messages name columns, and rows of the file.
    history = fit(
        density,
        to_table(np.hstack([matrix[:, :features], noise_of]), [*names[:features], *errors.values()])
        if large is None
        else streamed,
        to_table(matrix[:, features:], names[features:]) if conditional and large is None else None,
        weights=weights if large is None else None,
        validation_fraction=VALIDATION_FRACTION,
        seed=seed,
        max_time=max_time,
        **options,
    )
    fitted = TableFlow(model, list(columns), list(given), {}, learned, errors)
    best = history.best_held_out
    # The held-out rows are in no order that matters.
    every = slice(None, None, -(-len(held_out) // CALIBRATION_ROWS))
    if isinstance(density, TableDensity) and maps.discrete:
        # With the points that scores have.
        scores = _held_out_scores(fitted, held_out, features, len(names))
        best = float(np.average(scores, weights=parts[1]))
        scores = scores[every]
    else:
        scores = _held_out_scores(fitted, held_out[every], features, len(names))
    fitted.calibration = Calibration.of(scores, None if parts[1] is None else parts[1][every])
    notes = {
        "flow": recipe.flow["architecture"],
        "chosen": list(recipe.reasons),
        "rows": {"training": counts[0], "held_out": counts[1]},
        "held_out_nats": best,
        "log_prob": fitted.meaning,
        "any_given": any_given,
        "gaussian_nats": gaussian,
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
    }
    fitted.notes = notes
    return Fit(fitted, history, best, gaussian)


def _read(data: Any, columns: Sequence[str] | None) -> pa.Table:
    if isinstance(data, str | os.PathLike):
        return read_columns(data, columns)
    return table_from_frame(data, columns)


def _as_given(learned: Schema, given: Sequence[str], declared: Schema) -> Schema:
    """Conditions may take values that were not seen: no bounds are learned for them, nor levels of numbers."""
    relaxed = (Bounded, Integer, Positive, Mixed)
    return {
        name: Continuous(missing=column.missing, heavy=False)
        if name in given
        and name not in declared
        and (isinstance(column, relaxed) or (isinstance(column, Category) and column.numeric))
        else column
        for name, column in learned.items()
    }


def _gaps(matrix: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """The first row without a value, counted from 1, of columns that have such rows."""
    missing = np.isnan(matrix)
    return {name: int(missing[:, place].argmax()) + 1 for place, name in enumerate(names) if missing[:, place].any()}


def _asks_for_any_given(
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
        if isinstance(column, Periodic) or (isinstance(column, Category) and len(column.levels or ()) > 2):
            hints.append(f'the given column "{name}" of {source} is {column.describe()}')
    if hints and flow is not None:
        raise InputError(f"{hints[0]}, which {flow} does not take; leave out the architecture.")
    # With a named flow an angle is cut open where fewest rows are.
    return bool(hints) or (flow is None and not large and any(isinstance(schema[name], Periodic) for name in columns))


def _beside(table: Table, features: int) -> np.ndarray:
    """The rows of a table as one matrix: features, context, and the errors that stand beside the features."""
    x, *others = table.take(table.rows)
    context = [] if table.context is None else [others[0].numpy()]
    return np.hstack([x[:, :features].numpy(), *context, x[:, features:].numpy()])


def _held_out_scores(model: TableFlow, held_out: np.ndarray, features: int, columns: int) -> np.ndarray:
    """log_prob, (n,), of the density's codes, its context, and the errors beside them."""
    x = torch.from_numpy(np.hstack([held_out[:, :features], held_out[:, columns:]]))
    context = torch.from_numpy(held_out[:, features:columns]) if features < columns else None
    scores: np.ndarray = evaluate(model.scored, x, context).double().cpu().numpy()
    return scores


def _make_any_given(
    recipe: Recipe, maps: Columns, y: torch.Tensor, widths: list[int], seed: int, weights: torch.Tensor | None
) -> AnyGivenFlow:
    """The flow with fresh weights behind splines that make each column of its training rows nearly normal."""
    bounded = any(np.isfinite([*maps.low, *maps.high]))
    options = {key: value for key, value in recipe.flow.items() if key != "architecture"}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        flow = AnyGivenFlow(maps.features, widths, maps.circular, knots=recipe.knots, bounded=bounded, **options)
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


def _gaussian(
    train: np.ndarray,
    held_out: np.ndarray,
    columns: int,
    weights: np.ndarray | None = None,
    held_out_weights: np.ndarray | None = None,
) -> float | None:
    """Mean log-likelihood under the Gaussian: p(columns | given) = p(columns, given) / p(given).

    None where a full covariance cannot be had, since there are no more rows than columns.
    """
    if train.shape[0] <= train.shape[1]:
        return None
    if weights is not None:
        # Rows that have the weighted mean and covariance without weights: each deviation scaled, on both sides.
        mean = np.average(train, axis=0, weights=weights)
        deviation = (train - mean) * np.sqrt(weights / weights.mean())[:, None]
        train = np.concatenate([mean + deviation, mean - deviation])
    log_prob = gaussian_log_likelihood(train, held_out)
    if columns < train.shape[1]:
        log_prob = log_prob - gaussian_log_likelihood(train[:, columns:], held_out[:, columns:])
    return float(np.average(log_prob, weights=held_out_weights))

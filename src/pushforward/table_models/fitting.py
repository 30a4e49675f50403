"""Fits of densities to tables: prepare the table, assemble a flow, train it, and finish the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from pushforward.support.arguments import check_seed
from pushforward.support.progress import Announce, silent
from pushforward.table_models.assembly import Assembled, assemble, choose
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.density import table_density
from pushforward.table_models.fit_origin import origin_of
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.gaussian_start import keep_gaussian
from pushforward.table_models.held_out import held_out_log_prob
from pushforward.table_models.held_out_rows import HeldOutRows
from pushforward.table_models.model import TableModel
from pushforward.table_models.patterns import patterns_of, patterns_vary
from pushforward.table_models.preparation import VALIDATION_FRACTION, Prepared, prepare
from pushforward.table_models.stacked_fit import fit_stack, folds_of, gaussian_of_folds
from pushforward.table_models.stacking import FOLDS, Stack, seconds_of_flow
from pushforward.table_models.training_rows import TrainingRows
from pushforward.tables.columns.text_format import Conventions
from pushforward.tables.files.opening import readied
from pushforward.tables.files.stored import StoredTable
from pushforward.tables.files.writing import check_apart
from pushforward.tables.missing import Mark
from pushforward.training import History, fit
from pushforward.training.checkpoint import asked_with, line_of_checkpoint
from pushforward.training.settings import Settings, TrainingOptions, settings_from
from pushforward.zoo.gaussian import GAUSSIAN
from pushforward.zoo.recipe import Recipe

# Held-out rows that p-values are calibrated on, at most: more take time and say little more.
CALIBRATION_ROWS = 100_000


@dataclass
class Fit:
    """A fitted model and how it compares.

    Attributes:
        model: the density over the table's columns.
        history: the course of the training.
        held_out: mean log-likelihood of the held-out rows under the model, nats per row in the data's units.
        gaussian: the same rows under the Gaussian of the training rows with a full covariance; None where some column
            has probabilities, gaps or measurement errors, and with too few rows.
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
    missing: Sequence[Mark] | None = None,
    header: bool = True,
    group: str | None = None,
    hold_out: str = "random",
    decimal: str | None = None,
    date_format: str | None = None,
    announce: Announce = silent,
    **training: Unpack[TrainingOptions],
) -> Fit:
    """Fit p(columns | given) to a table.

    Columns are made nearly normal inside the model, and the change of units is counted: densities are in the table's
    own units. One row in ten, chosen by the seed, is held out: it decides when training stops, and gives the held-out
    nats. Copies of a row stand on one side, and count once among the held-out rows.

    Arguments:
        data: a table outside memory (a file, a folder, a pattern, an address, a list of these, "-" for the standard
            input, or what `pushforward.open_table` gives), or one in memory: pandas, polars, pyarrow; numpy with
            columns named 0, 1, ....
        columns: columns to model, default all that are not given.
        given: columns to condition on, default none.
        flow: a named architecture with its own defaults; by default `pushforward.zoo.recipe` chooses architecture, size
            and training from the table and the time.
        schema: what some of the columns are, where it should not be inferred: a JSON file, or
            {column: {"kind": kind, option: value}} as in `pushforward.tables.columns.kinds`.
        arbitrary_conditions: whether the model answers p(any columns | any others), default False. Tables with missing
            values in modeled columns have such a model always; tables with angles among these unless `flow` is named,
            or the table, of more than 128 MB, is streamed from its file.
        weight: a column of row weights, which is not modeled, or one number for each row: by these rows count in the
            split, the quantiles, the loss, the held-out value, the Gaussian and the p-values; rows of weight 0 are left
            out. Of a table that is streamed from its file it is a column.
        errors: {column: column of its measurement errors}, standard deviations of independent normal noise. The model
            is then that of the true values, as `pushforward.table_models.deconvolved` explains; columns with errors
            are continuous.
        missing: what stands for a missing value, text or numbers, beside null, NaN and the empty cells of a CSV; it
            replaces the list for CSV files, such as NA. `schema` may say it column by column instead.
        header: whether the first line of a CSV has the names of its columns, which are called 0, 1, ... otherwise;
            default True.
        group: a column whose equal values mark rows that belong together, such as those of one patient or one site:
            they are held out together. It is not modeled unless it is named.
        hold_out: "random" (default), or "last" for the last tenth of the rows in their order, as of a time series.
        decimal: the decimal mark of text, "." or ",", where the text does not decide; default what it says.
        date_format: the order of dates in text, such as "%d/%m/%Y", where the text does not decide; default what it
            says.
        announce: is told, before the training, what was chosen and why, line by line.
        training: `TrainingOptions` of `pushforward.fit`, instead of those chosen: max_time, epochs, device, progress,
            .... The seed, default 0, is also that of the split and the initial weights. Without a limit training
            continues until it stops gaining.

    Returns:
        The model, the history, and the held-out nats of the model and of a Gaussian.

    Raises:
        InputError: a table that cannot be fitted (one sentence names file, column and first row), or a bad option.
        TrainingError: training met too many numbers that are not finite.
    """
    # Refused options are said first, and alone.
    settings_from({"max_steps": 1, **_given(training)}, evaluate_every=1)
    seed, quiet = training.get("seed", Settings.seed), training.get("progress") is False
    check_seed(seed)
    asked: dict[str, Any] = {
        "columns": columns,
        "given": given,
        "flow": flow,
        "schema": schema,
        "arbitrary_conditions": arbitrary_conditions,
        "weight": weight,
        "errors": errors,
        "missing": missing,
        "header": header,
        "group": group,
        "hold_out": hold_out,
    }
    written = {"decimal": decimal, "date_format": date_format}
    always = {"seed": Settings.seed, "precision": Settings.precision, "max_time": None}
    with readied(data, header=header) as table, asked_with({**always, **asked, **written, **_given(training)}):
        if isinstance(table, StoredTable) and (log_path := training.get("log_path")) is not None:
            check_apart(log_path, table.files)
        options = {**asked, **written, **training, "given": list(given)}
        origin = origin_of(table, {name: options[name] for name in options if name != "header"}, header)
        prepared = prepare(table, **asked, seed=seed, quiet=quiet, conventions=Conventions(decimal, date_format))
        folds = folds_of(prepared, training, seed) if flow is None else []
        fitted = _fit_prepared(prepared, folds, flow, {**training, "seed": seed}, announce)
        rows = training_rows_of(prepared, bool(folds)), None if folds else held_out_rows_of(prepared)
        record = FitRecord(rows[0], origin=origin, held_out=rows[1]).of_course(fitted.history)
        return dataclasses.replace(fitted, model=dataclasses.replace(fitted.model, record=record))


def _given(training: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a training that are not left to others."""
    return {name: value for name, value in training.items() if value is not None}


def _fit_prepared(
    prepared: Prepared, folds: Sequence[Any], flow: str | None, training: TrainingOptions, announce: Announce
) -> Fit:
    """Choose a density, train it, and make the model."""
    seed, max_time = training["seed"], training.get("max_time")
    if folds:
        max_time = seconds_of_flow(max_time, prepared.rows.training_rows)
    recipe = choose(prepared, flow, max_time, max(len(folds), 1))
    options: TrainingOptions = {**recipe.training, **training}  # type: ignore[typeddict-item]
    for line in [*line_of_checkpoint(training), *prepared.reasons, *recipe.reasons]:
        announce(line)
    if folds:
        found = fit_stack(prepared, folds, recipe, {**options, "max_time": max_time}, announce)
        prepared = dataclasses.replace(prepared, gaussian=gaussian_of_folds(prepared, folds))
        return finish(prepared, recipe, judged_by_folds(prepared, found), found.history, seed)
    recipe, assembled, history = _train(prepared, recipe, options, seed, flow is None, announce)
    return finish(prepared, recipe, judged(prepared, assembled, history), history, seed)


def _train(
    prepared: Prepared, recipe: Recipe, options: TrainingOptions, seed: int, free: bool, announce: Announce
) -> tuple[Recipe, Assembled, History]:
    """Train a density; where nobody named an architecture (`free`), a Gaussian replaces one that is no better."""
    assembled = assemble(prepared, recipe, seed)
    rows = prepared.rows
    history = fit(
        assembled.density,
        rows.data,
        rows.context,
        weights=rows.data_weights,
        validation_fraction=VALIDATION_FRACTION,
        split=rows.parts,
        objective=recipe.objective,
        **options,
    )
    if free:
        before = len(history.events)
        recipe, assembled = keep_gaussian(prepared, recipe, assembled, history, seed)
        for line in history.events[before:]:
            announce(line)
    return recipe, assembled, history


@dataclass(frozen=True, eq=False)
class Judged:
    """A density, trained, and what it says of held-out rows.

    Attributes:
        flow: of the points.
        held_out: nats per held-out row.
        codes: (m, columns) of the held-out rows that p-values are calibrated on, or of some of them.
        log_prob: (m,) of these.
        weights: (m,) or None.
        rows: numbers of training and held-out rows, for the notes.
        parts: {part: weight} of a stacked density; none of others.
    """

    flow: Any
    held_out: float
    codes: np.ndarray
    log_prob: np.ndarray
    weights: np.ndarray | None
    rows: Mapping[str, int]
    parts: Mapping[str, float]


def judged(prepared: Prepared, assembled: Assembled, history: History) -> Judged:
    """What a trained density says of the held-out rows."""
    density, rows = table_density(assembled.flow, prepared.roles), prepared.rows
    # The held-out rows are in no order that matters.
    every = slice(None, None, -(-len(rows.held_out) // CALIBRATION_ROWS))
    held_out = history.best_held_out
    if assembled.approximate:
        # With the points that scores have.
        log_prob = held_out_log_prob(density, prepared, rows.held_out)
        held_out = float(np.average(log_prob, weights=rows.held_out_weights))
        log_prob = log_prob[every]
    else:
        log_prob = held_out_log_prob(density, prepared, rows.held_out[every])
    weights = None if rows.held_out_weights is None else rows.held_out_weights[every]
    counts = {"training": rows.training_rows, "held_out": len(rows.held_out)}
    return Judged(assembled.flow, held_out, rows.held_out[every], log_prob, weights, counts, {})


def judged_by_folds(prepared: Prepared, found: Stack) -> Judged:
    """What the parts of a stacked density say of the rows that they have not seen."""
    assert prepared.rows.folded is not None
    matrix = prepared.rows.folded.matrix
    counts = {"training": len(matrix), "held_out": len(found.rows), "folds": FOLDS}
    codes = matrix[found.rows].numpy()
    return Judged(found.flow, found.history.best_held_out, codes, found.log_prob, None, counts, found.weights)


def training_rows_of(prepared: Prepared, every: bool) -> TrainingRows:
    """Hashes of the rows that a density was trained on; `every` where all were, since folds were held out in turn."""
    rows = prepared.rows
    if every and rows.folded is not None:
        return TrainingRows.of(rows.folded.matrix.numpy()[:, : rows.train.shape[1]], len(rows.folded.matrix))
    return TrainingRows.of(rows.train, rows.training_rows)


def held_out_rows_of(prepared: Prepared) -> HeldOutRows:
    """Which rows of the table were held out."""
    rows = prepared.rows
    return HeldOutRows.of(rows.held_out[:, : rows.train.shape[1]], rows.held_out_numbers, rows.table_rows)


def finish(prepared: Prepared, recipe: Recipe, judged: Judged, history: History, seed: int) -> Fit:
    """Calibrate the p-values of a trained density on the held-out rows, and make the model.

    Arguments:
        prepared: the table.
        recipe: of the flow.
        judged: the density, trained.
        history: the course of the training.
        seed: of the fit, for the notes.
    """
    roles = prepared.roles
    name = "stack" if judged.parts else "gaussian" if recipe.flow == GAUSSIAN else recipe.flow["architecture"]
    notes = {
        "flow": name,
        **({"parts": {part: round(weight, 4) for part, weight in judged.parts.items()}} if judged.parts else {}),
        "chosen": list(recipe.reasons),
        "rows": dict(judged.rows),
        "copies": round(prepared.rows.copies, 6),
        "held_out_nats": judged.held_out,
        "log_prob": table_density(judged.flow, roles).meaning,
        "arbitrary_conditions": roles.allows_gaps,
        "gaussian_nats": prepared.gaussian,
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
        **({"declared": list(prepared.declared)} if prepared.declared else {}),
    }
    if patterns_vary(roles):
        features = judged.codes[:, : len(roles.features)]
        calibration = Calibration.by_pattern(judged.log_prob, patterns_of(features, roles), features, judged.weights)
    else:
        calibration = Calibration.of(judged.log_prob, judged.weights)
    # Tables are scored and drawn on the processor, wherever the training ran.
    judged.flow.cpu()
    columns, given = list(roles.columns), list(roles.given)
    model = TableModel(
        judged.flow, columns, given, notes, roles.schema, roles.errors, calibration, dict(roles.gap_values)
    )
    return Fit(model, history, judged.held_out, prepared.gaussian)

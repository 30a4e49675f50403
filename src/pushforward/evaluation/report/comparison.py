"""Two models on one table: which has the higher log-density, by how much, and which rows and columns decide."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from pushforward.errors import InputError
from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.evaluation.report.column_surprise import column_surprise, rows_within
from pushforward.evaluation.report.contents import Estimate, TrainedOn, as_json
from pushforward.evaluation.report.correction import LEVEL
from pushforward.evaluation.report.evidence import log_prob_in_parts
from pushforward.evaluation.report.marginals import text_of
from pushforward.evaluation.report.sampled_rows import FEWEST_ROWS, SampledRows, sample_rows
from pushforward.evaluation.report.trained_on import lines_of_training, trained_on
from pushforward.support.arguments import check_seed
from pushforward.support.progress import progress as progress_bar
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted, p_value_is, percent
from pushforward.table_models.model import TableModel

ROWS, ROWS_OF_COLUMNS, MOST_ROWS = 20_000, 300, 5
MODELS = ("The first model", "The second model")


@dataclass(frozen=True)
class RowOfComparison:
    """A row that decides: one of the largest differences of either sign.

    Attributes:
        row: its number in the table, counted from 1.
        difference: log-density under the first model less that under the second, nats.
        values: of the row as text, by column.
    """

    row: int
    difference: float
    values: dict[str, str]


@dataclass(frozen=True)
class ColumnOfComparison:
    """What a column contributes.

    Attributes:
        column: its name.
        difference: of log p(column | all other columns), the first model less the second, nats per row.
    """

    column: str
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows.

    Attributes:
        sentences: what was found.
        rows: that both have a density for.
        left_out: rows that one of them has none for.
        nats_a: per row, of the first model.
        nats_b: of the second.
        difference: the first less the second, paired row by row.
        p_value: of a difference of 0, by Student's t of the paired differences.
        share: of rows on which the first has the higher log-density.
        top_tenth: share of the sum of all differences that the tenth of the rows with the largest ones, in favor of the
            better model, makes up; above 1 where the others speak for the worse one.
        rows_that_decide: the largest differences for the first model, and then those for the second.
        columns: by the size of their contribution.
        note: of what the columns' contributions are.
    """

    sentences: list[str]
    rows: int
    left_out: int
    nats_a: Estimate
    nats_b: Estimate
    difference: Estimate
    p_value: float
    share: float
    top_tenth: float
    rows_that_decide: list[RowOfComparison]
    columns: list[ColumnOfComparison]
    note: str

    def to_json(self) -> str:
        """The comparison as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def compare(
    a: TableModel | str | os.PathLike[str],
    b: TableModel | str | os.PathLike[str],
    data: Any,
    *,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> Comparison:
    """Compare two models of the same columns on rows that neither was trained on.

    Differences are paired: rows that are improbable under both models do not blur them.

    Arguments:
        a: a model, or the path of its file.
        b: another one; the columns that are given may differ.
        data: rows with the columns of both, in memory or outside it.
        rows: most rows that are looked at, chosen by the seed; default 20,000.
        seed: of that choice; default 0.
        progress: whether to show a bar on standard error; default True.

    Returns:
        The comparison: `comparison.sentences`, `comparison.difference`, `comparison.to_json()`.

    Raises:
        InputError: models of other columns, or of another kind of one, whose log-densities are not comparable; or a
            table that is not one of theirs.

    Example:
        >>> import pushforward as pf
        >>> table = np.random.default_rng(0).normal(size=(400, 2))
        >>> one, other = (pf.fit_table(table[:300], flow="nice", max_steps=steps).model for steps in (1, 2))
        >>> compare(one, other, table[300:]).rows
        100
    """
    check_seed(seed)
    one, other = (model if isinstance(model, TableModel) else TableModel.load(model) for model in (a, b))
    check_comparable(one, other)
    from pushforward.tables.files.opening import readied

    with readied(data) as table, progress_bar("comparing", not progress) as bar:
        found = rows_new_to_both((one, other), table, rows, seed)
        bar(0.2)
        each = [log_prob_in_parts(model, some.codes) for model, some in zip((one, other), found, strict=True)]
        bar(0.5)
        finite = np.isfinite(each[0]) & np.isfinite(each[1])
        if finite.sum() < 2:
            raise InputError("No rows of the table have a density under both models: there is nothing to compare.")
        columns = _columns((one, other), [some.codes[finite] for some in found], seed)
    known = [trained_on(model, some) for model, some in zip((one, other), found, strict=True)]
    return _comparison(found[0], each, finite, columns, known)


def rows_new_to_both(models: tuple[TableModel, TableModel], data: Any, rows: int, seed: int) -> list[SampledRows]:
    """The same rows of a table as each model encodes them: of its own table only those that its fit held out.

    Where these are too few for both, the rows are of the whole table.
    """
    found = [sample_rows(model, data, rows, seed) for model in models]
    own = [some.held_out.numbers for some in found if some.held_out is not None]
    if not own:
        return found
    common = np.intersect1d(own[0], own[-1])
    if len(common) < FEWEST_ROWS:
        return [sample_rows(model, data, rows, seed, held_out=False) for model in models]
    return [_among(common, model, some, data, rows, seed) for model, some in zip(models, found, strict=True)]


def _among(common: np.ndarray, model: TableModel, found: SampledRows, data: Any, rows: int, seed: int) -> SampledRows:
    """The rows with some numbers, of those that were found where all are among them, else read again."""
    chosen = np.isin(found.numbers, common)
    if len(common) <= rows and chosen.sum() == len(common):
        return found.only(chosen)
    return dataclasses.replace(sample_rows(model, data, rows, seed, among=common), held_out=found.held_out)


def check_comparable(one: TableModel, other: TableModel) -> None:
    """Refuse models whose log-densities are of different things.

    Raises:
        InputError: they are of other columns, or a column has densities in one and probabilities in the other.
    """
    mine, theirs = set(one.columns), set(other.columns)
    if mine != theirs:
        name = sorted(mine ^ theirs)[0]
        which = "second" if name in mine else "first"
        raise InputError(
            f'The models are of different columns: the {which} has no column "{name}" among those it models; their '
            "log-densities cannot be compared."
        )
    for name in one.modeled:
        kinds = [model.schema[name] for model in (one, other)]
        if name in other.modeled and kinds[0].has_probabilities != kinds[1].has_probabilities:
            raise InputError(
                f'Column "{name}" is {kinds[0].describe()} in the first model and {kinds[1].describe()} in the second: '
                "a density and a probability cannot be compared; fit both with the same --schema."
            )


def _columns(
    models: tuple[TableModel, TableModel], codes: list[np.ndarray], seed: int
) -> tuple[list[ColumnOfComparison], int]:
    """The contributions of the columns that both models have, and the number of rows that they are of."""
    names = [name for name in models[0].roles.modeled if name in models[1].roles.modeled]
    if not names:
        return [], 0
    rows = min(len(codes[0]), rows_within(models, names, ROWS_OF_COLUMNS))
    first, second = (
        column_surprise(model, some[:rows], names, seed) for model, some in zip(models, codes, strict=True)
    )
    gains = second - first
    found = [
        ColumnOfComparison(name, Estimate(*mean_and_standard_error(gain[np.isfinite(gain)])))
        for name, gain in zip(names, gains.T, strict=True)
        if np.isfinite(gain).any()
    ]
    return sorted(found, key=lambda one: -abs(one.difference.value)), rows


def _comparison(
    sampled: SampledRows,
    each: list[np.ndarray],
    finite: np.ndarray,
    of_columns: tuple[list[ColumnOfComparison], int],
    known: list[TrainedOn],
) -> Comparison:
    columns, rows_of_columns = of_columns
    first, second = (values[finite] for values in each)
    numbers, places = sampled.numbers[finite], np.flatnonzero(finite)
    apart = first - second
    difference = Estimate(*mean_and_standard_error(apart))
    ratio = difference.value / difference.error if difference.error > 0 else 0.0
    p_value = float(2 * student(len(apart) - 1).sf(abs(ratio))) if difference.error > 0 else 1.0
    order = np.argsort(-apart, kind="stable")
    chosen = list(dict.fromkeys([*order[:MOST_ROWS].tolist(), *order[::-1][:MOST_ROWS].tolist()]))
    deciding = [
        RowOfComparison(
            int(numbers[place]),
            float(apart[place]),
            {name: text_of(value) for name, value in sampled.table.slice(int(places[place]), 1).to_pylist()[0].items()},
        )
        for place in chosen
    ]
    total = float(apart.sum())
    favor = np.sort(apart if total >= 0 else -apart)[::-1]
    top_tenth = float(favor[: max(1, len(favor) // 10)].sum() / abs(total)) if total else math.nan
    left_out = len(sampled.codes) - len(apart)
    return Comparison(
        sentences=[*_sentences(difference, p_value, apart, columns, left_out), *lines_of_training(known, MODELS)],
        rows=len(apart),
        left_out=left_out,
        nats_a=Estimate(*mean_and_standard_error(first)),
        nats_b=Estimate(*mean_and_standard_error(second)),
        difference=difference,
        p_value=p_value,
        share=float((apart > 0).mean()),
        top_tenth=top_tenth,
        rows_that_decide=deciding,
        columns=columns,
        note=f"Of {counted(rows_of_columns, 'row')}: log p(column | all other columns), by quadrature. They do "
        "not sum to the difference.",
    )


def _sentences(
    difference: Estimate, p_value: float, apart: np.ndarray, columns: list[ColumnOfComparison], left_out: int
) -> list[str]:
    rows = counted(len(apart), "row")
    if p_value >= LEVEL:
        said = [
            f"No difference is found on {rows}: {difference} nats per row for the first model, {p_value_is(p_value)}."
        ]
    else:
        better = "first" if difference.value > 0 else "second"
        amount = Estimate(abs(difference.value), difference.error)
        share = float((apart > 0).mean() if difference.value > 0 else (apart < 0).mean())
        said = [
            f"The {better} model is better by {amount} nats per row on {rows}, {p_value_is(p_value)}; it has the "
            f"higher log-density on {percent(share)} of them."
        ]
    clear = [one for one in columns if abs(one.difference.value) > 3 * one.difference.error]
    if clear:
        listed = ", ".join(f"{quoted(one.column)} ({one.difference})" for one in clear[:3])
        said.append(f"Columns that decide, given all others, in nats for the first model: {listed}.")
    if left_out:
        are = "is" if left_out == 1 else "are"
        said.append(f"{counted(left_out, 'row')} without a density under one of the models {are} left out.")
    return said

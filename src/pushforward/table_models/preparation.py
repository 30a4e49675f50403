"""The first step of a fit: what the columns of a table are, and which rows are held out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.wording import counted, percent
from pushforward.table_models.auxiliary_columns import check_errors
from pushforward.table_models.gaussian import gaussian_held_out
from pushforward.table_models.in_memory import InMemoryTable
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.row_order import correlation_of_neighbors
from pushforward.table_models.source import Codes, HoldOut, Split, TableSource
from pushforward.table_models.streamed import StreamedTable, is_large
from pushforward.table_models.streamed_choice import HEAD_ROWS
from pushforward.tables import (
    Schema,
    check_columns,
    check_independent,
    check_varying,
    is_stored,
    open_table,
    parse_schema,
    read_columns,
    read_schema,
    table_from_frame,
)
from pushforward.tables.broken_relations import lines_of_broken_relations
from pushforward.tables.checks import FRAME, check_rows, check_scale, leave_out
from pushforward.tables.columns.kinds import Column, Continuous
from pushforward.tables.columns.text_format import PLAIN, Conventions
from pushforward.tables.dependence import independent
from pushforward.tables.missing import Mark, Marks
from pushforward.tables.rounded_sums import rounded_sum

MINIMUM_ROWS = 20
VALIDATION_FRACTION = 0.1
MOST_LINES = 30
# A larger share of copies is said.
NOTABLE_COPIES = 0.01


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table that a density can be fitted to.

    Attributes:
        roles: the columns.
        rows: those that are trained on and those that are held out, codes of the features and then of the context.
        gaussian: mean log-likelihood of the held-out rows under a Gaussian, nats per row; None where there is none.
        reasons: what was found in the table, line by line.
        declared: the columns whose bounds, grid or levels the user declared.
    """

    roles: ColumnRoles
    rows: Split
    gaussian: float | None
    reasons: tuple[str, ...]
    declared: tuple[str, ...] = ()


def prepare(
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
    seed: int = 0,
    quiet: bool = True,
    conventions: Conventions = PLAIN,
) -> Prepared:
    """Read a table, infer its schema, and hold out some of its rows; arguments as for `fit_table`.

    A table in memory, or a file of moderate size, is held in memory; a larger file is streamed.

    Raises:
        InputError: a table that cannot be fitted.
    """
    stored = open_table(data, header=header) if is_stored(data) else None
    source = FRAME if stored is None else stored.name
    errors = dict(errors or {})
    declared = read_schema(schema) if isinstance(schema, str | os.PathLike) else parse_schema(schema or {})
    # The noise of the errors is wider than a cell.
    declared = {**dict.fromkeys(errors, Continuous(heavy=False, step=0.0)), **declared}
    held_out = _hold_out(hold_out, group, columns, given, seed)
    options: dict[str, Any] = {"missing": missing, "quiet": quiet, "conventions": conventions}
    table = table_source(stored or data, columns, given, declared, weight, errors, held_out, source, **options)
    if given:
        check_columns(given, table.names, source=source)
    columns, left_out = _modeled_columns(table, columns, given, declared, source)
    found = table.infer_schema()
    undeclared = [name for name in given if not (name in declared and declared[name].declared)]
    inferred = found | {name: found[name].as_context() for name in undeclared}
    names = [*columns, *given]
    codes = table.encode(inferred, names)
    roles = ColumnRoles(columns, list(given), errors, inferred)
    if arbitrary_conditions or _needs_arbitrary_conditions(roles, codes.gaps, flow, source, table.streamed):
        inferred = found | {name: found[name].as_condition() for name in undeclared}
        roles = _with_arbitrary_conditions(dataclasses.replace(roles, schema=inferred), flow)
        codes = table.encode(inferred, names) if inferred != found else codes
    _check_dense(codes.matrix, names, roles, source, MINIMUM_ROWS)
    harmless, hints = _check_independent(codes, names, roles, source)
    if not roles.modeled:
        raise InputError(f"{source} has no column to model that varies: a constant needs no model.")
    varying = [*roles.features, *roles.context]
    places = {name: place for place, name in enumerate(names)}
    matrix = codes.matrix[:, [places[name] for name in varying]]
    rows = table.split(inferred, matrix, varying, len(roles.features))
    roles = dataclasses.replace(roles, gap_values=_gap_values(rows.train, varying, roles, codes.gaps))
    _check_dense(rows.train, varying, roles, f"the training part of {source}", 2)
    # Before the training: columns that lie in a plane have no density, and no time should be spent on them.
    gaussian = None
    dense = all(inferred[name].dense for name in roles.features)
    if (
        dense
        and all(_is_quantity(inferred[name]) or inferred[name].dense for name in roles.context)
        and not np.isnan(matrix).any()
        and not errors
    ):
        gaussian = _gaussian(rows, len(roles.modeled), bool(harmless))
    notes = [] if stored is None else stored.notes
    supports = tuple(name for name in names if name in declared and declared[name].declares_support)
    of_rows = [*harmless, *hints, *_lines_of_rows(rows, held_out)]
    of_columns = [*_lines_of_identifiers(left_out, source), *_lines_of_schema(inferred)]
    return Prepared(roles, rows, gaussian, (*notes, *table.reasons, *of_columns, *of_rows), supports)


def _modeled_columns(
    table: TableSource, columns: Sequence[str] | None, given: Sequence[str], declared: Schema, source: str
) -> tuple[list[str], dict[str, str]]:
    """The columns to model, and why others are left out where nobody chose."""
    left_out = table.leave_out_identifiers({*given, *declared}) if columns is None else {}
    columns = [name for name in table.names if name not in given] if columns is None else list(columns)
    if left_out and not columns:
        raise InputError(
            f"{source} has no columns to model: all of them name or number its rows; choose some with "
            f"{'columns=' if source == FRAME else '--columns'}."
        )
    if not columns:
        raise InputError(f"{source} has no columns left to model: all of them are given.")
    return columns, left_out


def table_source(
    data: Any,
    columns: Sequence[str] | None,
    given: Sequence[str],
    declared: Schema,
    weight: Any,
    errors: Mapping[str, str],
    hold_out: HoldOut,
    source: str,
    *,
    missing: Sequence[Mark] | None = None,
    quiet: bool = True,
    conventions: Conventions = PLAIN,
) -> TableSource:
    """The wanted columns of a table that is open, or of one in memory, with their weights, errors and groups."""
    both = [name for name in columns or () if name in given]
    if both:
        raise InputError(f'Column "{both[0]}" is both modeled and given: choose one.')
    auxiliary = list(dict.fromkeys([*errors.values(), *([weight] if isinstance(weight, str) else [])]))
    for name in auxiliary:
        if name in (columns or ()) or name in given:
            raise InputError(f'Column "{name}" holds weights or errors, and cannot be modeled or given as well.')
    beside = [*auxiliary, *([] if hold_out.group is None else [hold_out.group])]
    wanted = None if columns is None else list(dict.fromkeys([*columns, *given, *beside]))
    is_file = is_stored(data)
    streamed = is_file and is_large(data, wanted)
    if streamed and not (weight is None or isinstance(weight, str)):
        raise InputError(
            f"{source} is too large for memory and is streamed: give the weights of its rows as one of its columns."
        )
    whole = None if streamed else read_columns(data, wanted) if is_file else table_from_frame(data, wanted)
    found = whole.column_names if whole is not None else wanted or list(data.schema.names)
    if beside:
        check_columns(list(dict.fromkeys(beside)), found, source=source)
    check_errors(errors, found, columns, given, source)
    of_errors = list(errors.values())
    if whole is None:
        options: dict[str, Any] = {"missing": missing, "conventions": conventions}
        return StreamedTable(data, found, declared, hold_out, weight, of_errors, quiet, **options)
    # First of all: of a few rows with very many columns the rest would take minutes.
    check_rows(whole.num_rows, source=source, minimum_rows=MINIMUM_ROWS)
    marks = Marks(is_file and data.written, None if missing is None else tuple(missing))
    table = InMemoryTable(whole, declared, hold_out, source, weight, of_errors, marks, conventions)
    if len(table.row_numbers) < whole.num_rows:
        check_rows(len(table.row_numbers), source=f"{source} without its blank rows", minimum_rows=MINIMUM_ROWS)
    if table.weights is not None:
        weighted = int(np.count_nonzero(table.weights))
        check_rows(weighted, source=f"{source} without its rows of weight 0", minimum_rows=MINIMUM_ROWS)
    return table


def _hold_out(
    hold_out: str, group: str | None, columns: Sequence[str] | None, given: Sequence[str], seed: int
) -> HoldOut:
    """Which rows are held out; an error for a way that there is not."""
    if hold_out not in ("random", "last"):
        raise InputError(f'hold_out is "random" or "last", not {hold_out!r}.')
    if group is not None and hold_out == "last":
        raise InputError("Rows are held out by groups or at the end, not both: give a group or hold out the last rows.")
    return HoldOut(seed, VALIDATION_FRACTION, group, group in (*(columns or ()), *given), hold_out == "last")


def _needs_arbitrary_conditions(
    roles: ColumnRoles, gaps: Mapping[str, int], flow: str | None, source: str, streamed: bool
) -> bool:
    """Whether a table needs a model of any columns given any others; an error where a flow was named."""
    hints = [f'column "{name}" of {source} has no value in row {gaps[name]}' for name in roles.features if name in gaps]
    if hints and flow is not None:
        raise InputError(f"{hints[0]}, which {flow} does not take; do not name a flow (--flow).")
    # With a named flow an angle is cut open where the fewest rows are.
    angles = any(roles.schema[name].circular for name in roles.modeled)
    return bool(hints) or (flow is None and not streamed and angles)


def _gap_values(
    rows: np.ndarray, names: Sequence[str], roles: ColumnRoles, gaps: Mapping[str, int]
) -> dict[str, float]:
    """{column of the context with gaps: the middle of its numbers, or its most frequent level}, of training rows."""
    found = {}
    for place, name in enumerate(names):
        if name in roles.context and name in gaps:
            present = rows[~np.isnan(rows[:, place]), place]
            levels, counts = np.unique(present, return_counts=True)
            middle = np.quantile(present, 0.5, method="inverted_cdf") if len(present) else 0.0
            found[name] = float(middle if roles.schema[name].measured or not len(levels) else levels[counts.argmax()])
    return found


def _with_arbitrary_conditions(roles: ColumnRoles, flow: str | None) -> ColumnRoles:
    """The same columns for a model of any columns given any others."""
    if roles.errors:
        raise InputError("Measurement errors need a complete table of numbers: leave out gaps and angles.")
    if flow is not None:
        raise InputError(f"A model of any columns given any others has an architecture of its own; leave out {flow}.")
    return ColumnRoles(roles.columns, roles.given, roles.errors, roles.schema, allows_gaps=True)


def _check_independent(
    codes: Codes, names: Sequence[str], roles: ColumnRoles, source: str
) -> tuple[list[str], list[str]]:
    """Refuse quantities of which one follows from others; lines of relations that do no harm, and that nearly hold."""
    places = [place for place, name in enumerate(names) if _is_quantity(roles.schema[name])]
    found = [names[place] for place in places]
    amounts = codes.matrix[:, places]
    for column, name in zip(amounts.T, found, strict=True):
        column[:] = roles.schema[name].amounts(column)
    dates = [name for name in found if not roles.schema[name].numeric]
    about: dict[str, Any] = {"source": source, "conditions": roles.context, "exact": dates}
    lines = check_independent(amounts, found, **about)
    broken = lines_of_broken_relations(amounts, found, **about, numbers=codes.numbers)
    modeled = [place for place, name in enumerate(found) if name not in roles.context]
    near = rounded_sum(amounts[:, modeled], [found[place] for place in modeled])
    by_design = [] if near is None else [f"{near}: if that is so by design, {leave_out(source, 'one of them')}"]
    return lines, [*broken, *by_design]


def _check_dense(matrix: np.ndarray, names: Sequence[str], roles: ColumnRoles, source: str, rows: int) -> None:
    """Refuse too few rows, and columns that should have a density and are constant."""
    check_scale(matrix, names, source=source)
    complete = []
    for place, name in enumerate(names):
        present = ~np.isnan(matrix[:, place])
        if roles.schema[name].dense and present.all():
            complete.append(place)
        elif roles.schema[name].dense:
            check_varying(matrix[present, place][:, None], [name], source=source, minimum_rows=2)
    check_varying(matrix[:, complete], [names[place] for place in complete], source=source, minimum_rows=rows)


def _is_quantity(column: Column) -> bool:
    """Whether the values of a column are quantities, which can be added."""
    return column.modeled and (column.numeric or column.measured) and column.plain_condition and not column.circular


def _gaussian(rows: Split, features: int, related: bool) -> float | None:
    """The held-out value of a Gaussian, or None where the training rows have none.

    Of conditions that are related, one is left out of the Gaussian.
    """
    train, held_out = rows.train, rows.held_out
    if related:
        left = [*range(features), *(features + place for place in independent(train[:, features:]))]
        train, held_out = train[:, left], held_out[:, left]
    try:
        return gaussian_held_out(train, held_out, features, rows.weights, rows.held_out_weights)
    except InputError:
        # No column follows from others: single rows, such as outliers in several columns, make them look so.
        return None


def _lines_of_identifiers(left_out: Mapping[str, str], source: str) -> list[str]:
    """A line for each column that is left out."""
    option = "columns=" if source == FRAME else "--columns"
    lines = [f'column "{name}" is left out: {reason} ({option} keeps it)' for name, reason in left_out.items()]
    more = [f"and {counted(len(lines) - MOST_LINES, 'more column')} left out alike"]
    return lines if len(lines) <= MOST_LINES else lines[:MOST_LINES] + more


def _lines_of_schema(schema: Schema) -> list[str]:
    """A line for each column that is not a plain number, and one about gaps."""
    special = [name for name, column in schema.items() if column.describe_all() != Continuous().describe()]
    lines = [f'column "{name}": {schema[name].describe_all()}' for name in special[:MOST_LINES]]
    if len(special) > MOST_LINES:
        lines.append(f"and {counted(len(special) - MOST_LINES, 'more column')} of other kinds than plain numbers")
    lines += [f'column "{name}": {column.remark}' for name, column in schema.items() if column.remark]
    gaps = {name: column.missing_share for name, column in schema.items() if 0 < column.missing_share < 1}
    if gaps:
        worst = max(gaps, key=lambda name: gaps[name])
        most = f'most in "{worst}", ' if len(gaps) > 1 else f'"{worst}", '
        lines.append(f"gaps in {counted(len(gaps), 'column')}, {most}{percent(gaps[worst])} of the rows")
    return lines


def _lines_of_rows(rows: Split, hold_out: HoldOut) -> list[str]:
    """Lines about rows that depend on each other."""
    lines = []
    if rows.copies > NOTABLE_COPIES:
        lines.append(
            f"{percent(rows.copies)} of the rows repeat others: copies stand on one side of the split, and count once "
            "among the held-out rows"
        )
    if rows.nearly_copied is not None:
        lines.append(_line_of_near_copies(rows.nearly_copied, hold_out))
    if hold_out.group is None and not hold_out.last and rows.neighbors is not None:
        correlation = correlation_of_neighbors(rows.neighbors)
        if correlation:
            lines.append(
                f"rows look like a time series: neighbors are alike (correlation {correlation:.2f}); --hold-out last "
                "or --group holds out rows honestly"
            )
    return lines


def _line_of_near_copies(share: float, hold_out: HoldOut) -> str:
    """A line about rows of a streamed table that repeat others nearly."""
    if share <= NOTABLE_COPIES:
        return f"copies with a jitter, or rounded, were looked for among the first {HEAD_ROWS:,} rows alone"
    advice = "" if hold_out.group is not None else "; --group holds them out together"
    return (
        f"{percent(share)} of the first {HEAD_ROWS:,} rows repeat others up to a jitter or rounding: in a table that "
        f"is streamed such copies stand on both sides of the split, so that the held-out nats are too high{advice}"
    )

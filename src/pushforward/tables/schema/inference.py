"""Inferring a schema from a table, by rules that call a column special only where the evidence is strong."""

import json
from collections.abc import Mapping

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.suggestions import nearest
from pushforward.tables.columns.grids import has_decimals
from pushforward.tables.columns.hints import (
    hint_of,
    hint_of_century,
    hint_of_levels,
    hint_of_offsets,
    hint_of_size,
)
from pushforward.tables.columns.kinds import INFERENCE_ORDER, Column, Schema
from pushforward.tables.columns.text_format import PLAIN, Conventions, Format, read_as, recognized
from pushforward.tables.columns.text_style import style_of
from pushforward.tables.columns.timestamps import in_own_zone
from pushforward.tables.columns.undeclared import Undeclared
from pushforward.tables.columns.values import Values
from pushforward.tables.missing import TYPED, WRITTEN, Marks
from pushforward.tables.number_format import NumberFormat


def infer_schema(
    table: pa.Table,
    declared: Mapping[str, Column] | None = None,
    *,
    source: str,
    marks: Marks = TYPED,
    conventions: Conventions = PLAIN,
) -> Schema:
    """Infer what the columns of a table are.

    The rules, in their order; a kind or an option that is declared is kept, and only what it leaves open is inferred:

    - text of dressed numbers, of dates in other orders and of times of day is read as `text_format` says, if all
      values agree; digits with leading zeros, or too many for a number, are text;
    - no value at all: all-missing;
    - dates and timestamps, of which each stands in many rows and that no calendar explains: date-category;
    - dates, timestamps, and text in which every value is an ISO date or date-time: date-time, its step the longest
      that all values are multiples of, and of few different values one of a calendar or clock;
    - one value in every row: constant;
    - a name like angle, phase, azimuth, longitude or hour, and numbers that fill 2π, 360 or 24: periodic;
    - numbers that are all whole, up to 2^53: integer, its step the greatest common divisor of their differences;
      within 32 steps its bounds and frequencies are those observed, otherwise its lower bound is 0 if none is negative;
    - booleans, and text: category, levels by frequency (at most 1000, and beyond 50 at most half as many as rows: more
      are names of rows); at most 20 different numbers, with 10 rows each on average, that do not fill a grid: category
      as well; so are up to 1000, with 20 rows each on average, that no grid explains and of which hardly one is new:
      see `pushforward.tables.columns.scattered`;
    - single values with more rows than their neighbors predict: mixed, with those as atoms, see
      `pushforward.tables.columns.atoms`;
    - from 200 rows on, all numbers above 0 and down to it: positive; all within [0, 1] or [0, 100] and up to both ends:
      bounded. Up to an end means that the outermost number is at most half as far from it as the tenth, and of an
      interval at most a fiftieth of its length; rows on the end itself do not count;
    - rounded numbers whose outermost cell has at least half as many rows as the next ones: bounded by its outer edge;
    - otherwise continuous; with heavy tails where the generalized Pareto index of the outermost twentieth of rows on a
      side is above 0.1 by two standard errors.

    Numbers that were rounded keep their step where it matters: see `pushforward.tables.columns.recording`.

    Arguments:
        table: columns of numbers, text, booleans or dates; numbers and dates may be text.
        declared: columns that a user declares.
        source: what messages call the table.
        marks: what stands for a missing value in columns that do not declare it; default null and NaN alone.
        conventions: what a user says of decimal marks and dates in text; default nothing.

    Raises:
        InputError: no density can be learned of a column, or a declared one contradicts the table or is not in it.

    Example:
        >>> table = pa.table({"n": [0, 1, 1, 2] * 50, "sex": ["f", "m"] * 100, "empty": pa.nulls(200)})
        >>> for name, column in infer_schema(table, source="the table").items():
        ...     print(name, "is", column.describe())
        n is integer, 0 to 2
        sex is category, 2 levels: f, m
        empty is all-missing
    """
    declared = declared or {}
    for name in declared:
        if name not in table.column_names:
            raise InputError(
                f'the schema names a column "{name}" that {source} does not have; {nearest(name, table.column_names)}'
            )
    return {
        name: _inferred(_values(table, name, declared, source, marks), declared.get(name), conventions)
        for name in table.column_names
    }


def columns_of_text(
    table: pa.Table,
    declared: Mapping[str, Column],
    *,
    source: str,
    marks: Marks = WRITTEN,
    conventions: Conventions = PLAIN,
) -> list[str]:
    """Return the columns of some rows of a CSV that stay text, because they are not text of numbers.

    Arguments:
        table: the rows.
        declared: columns that a user declares.
        source: what messages call the table.
        marks: what stands for a missing value in columns that do not declare it; default the list for CSV files.
        conventions: what a user says of decimal marks and dates in text; default nothing.

    Raises:
        InputError: some texts in a column of numbers are not numbers.
    """
    return [
        name
        for name in table.column_names
        if _stays_text(_values(table, name, declared, source, marks), declared.get(name), conventions)
    ]


def marks_of(name: str, declared: Mapping[str, Column], default: Marks) -> Marks:
    """Return what stands for a missing value in a column: what is declared of it, or the default."""
    return declared.get(name, Undeclared()).marks(default)


def _values(table: pa.Table, name: str, declared: Mapping[str, Column], source: str, default: Marks) -> Values:
    return Values(table.column(name), name, source, marks=marks_of(name, declared, default))


def _stays_text(values: Values, declared: Column | None, conventions: Conventions) -> bool:
    if not values.is_text:
        return False
    known = None if declared is None else declared.kept_as_text
    if known is None or (known is False and declared is not None and declared.format is None):
        return values.missing < len(values) and (_is_dressed(values, conventions) or not values.is_numeric)
    return known or (declared is not None and declared.format is not None)


def _is_dressed(values: Values, conventions: Conventions) -> bool:
    try:
        return recognized(values, conventions) is not None
    except InputError:
        return True  # whether it is to be refused, all rows decide


def _inferred(values: Values, declared: Column | None, conventions: Conventions) -> Column:
    if declared is not None and declared.declared:
        return _completed(values, declared, conventions)
    form = recognized(values, conventions)
    text, values = values, in_own_zone(read_as(values, form), values, form)
    for kind in INFERENCE_ORDER:
        found = kind.infer(values)
        if found is not None:
            return _noted(found.with_missing(values), values, form, text, declared)
    raise InputError(f"{values.what} is of no known kind; declare one.")


def _completed(values: Values, declared: Column, conventions: Conventions) -> Column:
    """Complete a column that a user declared, whose text is written as the user says, or in a recognized format."""
    form = declared.format
    # Levels of text are text, whatever they look like.
    if form is None and declared.kept_as_text is not None:
        form = recognized(values, conventions)
    text, values = values, in_own_zone(read_as(values, form), values, form)
    return _noted(declared.declared_for(values), values, form, text, declared)


def _noted(column: Column, values: Values, form: Format | None, text: Values, declared: Column | None) -> Column:
    """A complete column with what is known of all kinds alike."""
    style = style_of(text, column.arrow_type) if form is None else None
    hints = [
        hint_of(values),
        hint_of_century(values, form),
        None if column.numeric else hint_of_offsets(text, values, form),
        hint_of_size(values) if column.numeric and column.measured and not column.discrete else None,
        hint_of_levels(column, values) if declared is None or not declared.declared else None,
    ]
    hints += [_unused_marks(values, text) if declared is not None and declared.missing else None]
    hint = "; ".join(filter(None, hints)) or None
    return column.model_copy(update={"format": form, "style": style, "hint": hint})


def _unused_marks(values: Values, text: Values) -> str | None:
    """A sentence about declared marks of missing values that no row has."""
    unused = text.unused_marks()
    if unused and values is not text:
        read = values.unused_marks()
        unused = [mark for mark in unused if mark in read]
    shown = ", ".join(json.dumps(mark, ensure_ascii=False) for mark in unused)
    return f"no row that the schema was learned from has {shown}, declared as missing" if unused else None


def with_styles(schema: Mapping[str, Column], rows: pa.Table, others: pa.Table, marks: Marks = TYPED) -> Schema:
    """Return a schema that was inferred from numbers with the styles of the text that they came from.

    Arguments:
        schema: complete, of at least the columns of the rows.
        rows: some rows, whose numbers are text.
        others: more rows, which may have more decimals; numbers, or text of those that stay text.
        marks: what stands for a missing value in columns that do not say it.
    """
    found = dict(schema)
    for name in rows.column_names:
        column = schema[name]
        if column.numeric and column.format is None:
            values = Values(rows.column(name), name, "", marks=column.marks(marks))
            style = style_of(values, column.arrow_type)
            if isinstance(style, NumberFormat) and style.decimals:
                more = Values(others.column(name), name, "", marks=column.marks(marks)).observed
                style = style if has_decimals(more, style.decimals).all() else style.model_copy(update={"decimals": 0})
            found[name] = column.model_copy(update={"style": None if style == NumberFormat() else style})
    return found

"""Columns that name or number the rows: identifiers, row numbers, the index of a data frame, clocks."""

import json
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.tables.columns.calendar import grid_through
from pushforward.tables.columns.dress import are_values
from pushforward.tables.columns.text_format import PLAIN, Conventions, Format, read_as, recognized
from pushforward.tables.columns.timestamps import ISO, has_zone
from pushforward.tables.columns.values import Values, match_all
from pushforward.tables.missing import TYPED, Marks
from pushforward.tables.number_format import NumberFormat
from pushforward.tables.numbers import LARGEST_EXACT, to_numpy

# In fewer rows values may all be different by chance.
LEAST_ROWS = 20
# So many rows of a column are looked at first: most columns repeat a value there, or have fractions.
HEAD = 1000
# Different whole numbers that fill at least this share of the multiples of their step between the smallest and the
# largest number the rows, in whatever order: measurements so dense would repeat.
DENSE = 0.5
# Different whole numbers name the rows, wherever they lie, if chance would leave as many different with at most this
# probability: that of different birthdays.
CHANCE_OF_NO_TIE = 1e-4
# So many of the rows repeat the name of another at most: a row that was entered twice, a slip of the pen.
MOST_REPEATS = 0.01
# Numbers are equally spaced if none is further than this share of the space from its place.
OFF_PLACE = 0.01
# Numbers and times that name the rows are hardly ever missing.
MOST_GAPS = 0.05
_INDEX = re.compile(r"^(Unnamed: [0-9]+.*|__index_level_[0-9]+__|)$")


def identifiers(
    table: pa.Table,
    rows: np.ndarray,
    total: int,
    *,
    source: str,
    keep: Collection[str] = (),
    marks: Marks = TYPED,
    conventions: Conventions = PLAIN,
) -> dict[str, str]:
    """Return the columns that name or number the rows, with what they look like.

    Arguments:
        table: a whole table, or some of its rows.
        rows: the numbers of these rows, increasing, (n,).
        total: the number of rows of the whole table.
        source: what messages call the table.
        keep: columns that are not looked at.
        marks: what stands for a missing value.
        conventions: what a user says of the text of the table.

    Example:
        >>> table = pa.table({"id": range(1, 101), "star": [f"HD {k * k}" for k in range(100)], "x": [1.5, 2.5] * 50})
        >>> identifiers(table, np.arange(100), 100, source="stars.csv")
        {'id': 'it numbers the rows', 'star': 'it names the rows: every text is different'}
    """
    index = _index_columns(table.schema)
    found = {}
    for name in table.column_names:
        if name in keep:
            continue
        reason = "it is the index of a data frame" if name in index or _INDEX.match(name) else None
        if not name and name not in index and name != table.column_names[0]:
            reason = "it has no name"
        values = Values(table.column(name), name, source, marks=marks)
        reason = reason or _reason_of_bytes(table.column(name))
        try:
            reason = reason or _reason(values, rows, total, conventions)
        except InputError:
            continue  # what cannot be read is refused when the schema is inferred
        if reason is not None:
            found[name] = reason
    return found


def _index_columns(schema: pa.Schema) -> set[str]:
    """The columns that pandas wrote of its index, according to the metadata of a table."""
    try:
        columns = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        return {name for name in columns if isinstance(name, str)}
    except (ValueError, KeyError, TypeError):
        return set()


def _reason_of_bytes(column: Any) -> str | None:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        kind, column = kind.storage_type, pa.chunked_array([part.storage for part in column.chunks], kind.storage_type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if len(column) < LEAST_ROWS or not any(test(kind) for test in tests) or _repeats(column):
        return None
    return f"it names the rows: {_how_many_differ(column.drop_null(), 'value')}"


def _reason(values: Values, rows: np.ndarray, total: int, conventions: Conventions) -> str | None:
    if len(values) < LEAST_ROWS:
        return None
    head = values.column.slice(0, HEAD)
    if _repeats(head):
        return None
    whole = len(head) == len(values)
    first = values if whole else Values(head, values.name, values.source, marks=values.marks)
    form = recognized(first, conventions)
    fractions = _are_fractions(first, form)
    if not whole:
        if _repeats(values.column):
            return None
        form = recognized(values, conventions)
    if fractions:
        values = read_as(values, form)
        evenly = values.is_numeric and not values.missing and _evenly_spaced(values.numbers, rows)
        return "its numbers are equally spaced from row to row" if evenly else None
    values = read_as(values, form)
    if values.is_text and not values.is_numeric:
        return _reason_of_text(values, rows)
    if values.missing > MOST_GAPS * len(values):
        return None
    if values.missing:
        present = ~to_numpy(pc.is_null(values.column, nan_is_null=True))
        values, rows = values.replaced(values.column.filter(pa.array(present))), rows[present]
    if values.is_dates:
        dates = pa.types.is_date(values.type)
        return _reason_of_times(pc.cast(values.column, pa.timestamp("us")) if dates else values.column, rows)
    if pa.types.is_integer(values.type):
        return _reason_of_integers(to_numpy(values.column), rows, total)
    if not values.is_numeric:
        return None
    if (values.numbers != np.floor(values.numbers)).any():
        return "its numbers are equally spaced from row to row" if _evenly_spaced(values.numbers, rows) else None
    if np.abs(values.numbers).max() > LARGEST_EXACT:
        return None
    return _reason_of_integers(values.numbers.astype(np.int64), rows, total)


def _reason_of_text(values: Values, rows: np.ndarray) -> str | None:
    texts = values.column.drop_null()
    if len(texts) < LEAST_ROWS or _repeats(texts):
        return None
    if not match_all(texts, ISO):
        if are_values(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts):
            return None  # numbers in an unknown dress, which are refused
        return f"it names the rows: {_how_many_differ(texts, 'text')}"
    try:
        clock = pc.cast(texts, pa.timestamp("us", "UTC" if has_zone(values) else None))
    except pa.ArrowInvalid:
        return None  # no dates of the calendar, or not all with a zone, which is refused
    return _reason_of_times(clock, rows) if len(texts) == len(values) else None


def _reason_of_times(times: Any, rows: np.ndarray) -> str | None:
    ticks = to_numpy(pc.cast(pc.cast(times, pa.timestamp("us", times.type.tz)), pa.int64()))
    months = grid_through(ticks, 1000, zone=times.type.tz).codes(ticks, 1000).astype(np.int64)
    if _equally_spaced(ticks, rows) or _equally_spaced(months, rows):
        return "it is a clock: its times are equally spaced"
    return "it is a clock: its times are in the order of the rows" if _is_monotone(ticks) else None


def _reason_of_integers(whole: np.ndarray, rows: np.ndarray, total: int) -> str | None:
    if _equally_spaced(whole, rows):
        return "it numbers the rows"
    if _is_monotone(whole):
        return "it numbers the rows: its numbers are in their order"
    low, high = int(whole.min()), int(whole.max())
    long = max(abs(low), abs(high)) > LARGEST_EXACT
    # A gcd of some differences can only be too large, and then too much is called dense: it is checked below.
    most = max(total / DENSE, len(whole) ** 2 / (-2 * np.log(CHANCE_OF_NO_TIE)))
    if not long and (high - low) / _step(whole[:HEAD], low) + 1 > most:
        return None
    differ, repeats = _how_many_differ(whole, "number"), len(whole) - len(np.unique(whole))
    if long:
        return f"it names the rows: {differ}, and too long to be exact"
    places = (high - low) / _step(whole, low) + 1
    if places <= total / DENSE and not repeats:
        return "it numbers the rows"
    if not _are_too_few(repeats, len(whole), places):
        return None
    return (
        "it numbers the rows"
        if places <= total / DENSE
        else f"it names the rows: {differ}, which chance does not explain"
    )


def _are_too_few(repeats: int, rows: int, places: float) -> bool:
    """Whether chance hardly leaves so few rows that repeat others, of as many places as have them."""
    # Only an import where it is needed keeps a schema that is merely read quick.
    from scipy.special import pdtr

    return bool(pdtr(repeats, 0.5 * rows * (rows - 1) / places) <= CHANCE_OF_NO_TIE)


def _step(whole: np.ndarray, low: int) -> int:
    return int(np.gcd.reduce(whole - low)) or 1


def _equally_spaced(whole: np.ndarray, rows: np.ndarray) -> bool:
    """Whether whole numbers go up or down by the same in every row."""
    first, second = int(whole[1]) - int(whole[0]), int(rows[1]) - int(rows[0])
    if first == 0 or first % second:
        return False
    step = first // second
    # A larger step than an integer of 64 bits holds cannot go on.
    with np.errstate(over="ignore"):
        return abs(step) < 2**63 and bool((np.diff(whole) == step * np.diff(rows)).all())


def _is_monotone(whole: np.ndarray) -> bool:
    """Whether whole numbers, of which few repeat, never go down, or never go up."""
    return bool((whole[1:] >= whole[:-1]).all() or (whole[1:] <= whole[:-1]).all())


def _evenly_spaced(numbers: np.ndarray, rows: np.ndarray) -> bool:
    """Whether numbers go up or down by the same in every row, up to rounding."""
    if not np.isfinite(numbers).all():
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        space = (numbers[-1] - numbers[0]) / (rows[-1] - rows[0])
        off = np.abs(numbers - numbers[0] - space * (rows - rows[0]))
        return bool(space != 0 and np.isfinite(space) and (off <= OFF_PLACE * np.abs(space)).all())


def _are_fractions(values: Values, form: Format | None) -> bool:
    """Whether some are numbers with a fraction, written in a format."""
    if isinstance(form, NumberFormat):
        values = read_as(values, form)
    elif form is not None or not (
        values.is_text or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    ):
        return False
    if values.is_text:
        return bool(pc.any(pc.match_substring_regex(values.column, r"^\s*[+-]?[0-9]*\.[0-9]*[1-9]\s*$")).as_py())
    return bool((values.observed != np.floor(values.observed)).any())


def _repeats(column: Any) -> bool:
    """Whether more than a few values repeat others, or there is none."""
    present = column.drop_null()
    return len(present) == 0 or len(present) - len(pc.unique(present)) > MOST_REPEATS * len(present)


def _how_many_differ(values: Any, what: str) -> str:
    """Say that values differ in every row, or in all but a few."""
    different = len(np.unique(values)) if isinstance(values, np.ndarray) else len(pc.unique(values))
    repeats = len(values) - different
    return f"all but {repeats:,} of {len(values):,} {what}s are different" if repeats else f"every {what} is different"

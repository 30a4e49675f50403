"""Learning a schema from a table: by rules that call a column special only where the evidence is strong."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pushforward.bijections import MarginalSpline
from pushforward.errors import InputError
from pushforward.tables.checks import leave_out
from pushforward.tables.columns.encoding import DATE_TIME_TEXT, is_text, numbers, plain, ticks
from pushforward.tables.schema.detection import atoms_of, bounds_of, circle_of, heavy_tails
from pushforward.tables.schema.kinds import (
    MOST_CELLS,
    MOST_LEVELS,
    STEPS,
    AllMissing,
    Bounded,
    Category,
    Column,
    Constant,
    Continuous,
    DateTime,
    Integer,
    Level,
    Marginal,
    Mixed,
    Periodic,
    Positive,
    Schema,
    Tail,
)
from pushforward.tables.schema.serialization import nearest

# Whole numbers within so few values have a probability each; more are dequantised by uniform noise.
FEW_VALUES = 32
# Beyond this noise of one step would be lost in the rounding of float64.
LARGEST_INTEGER = 2**40
# Fewer different numbers than this, and so many rows for each, are levels and not measurements.
MOST_NUMERIC_LEVELS, ROWS_OF_LEVEL = 20, 10
# Half a row is added to each level, so that one declared but never seen keeps a probability.
PSEUDO_ROWS = 0.5
# A share of numbers above which a column of text is one of numbers with mistakes in it.
MOSTLY_NUMBERS = 0.5
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"


def infer_schema(table: pa.Table, declared: Mapping[str, Column] | None = None, *, source: str) -> Schema:
    """Learn what the columns of a table are.

    The rules, in their order; a kind or an option that is declared is kept, and only what it leaves open is learned:

    - no value at all: all-missing; one value in every row: constant;
    - booleans, and text: category, levels by frequency (at most 1000, and beyond 50 at most half as many as rows: more
      are names of rows); text in which every value is an ISO date or date-time, dates and timestamps: date-time, its
      step the longest that all values are multiples of;
    - numbers that are all whole, and below 2^40: integer, their step the greatest common divisor of their differences;
      within 32 steps bounds and frequencies are those observed, otherwise they are at least 0 if none is negative;
    - at most 20 different numbers, with 10 rows each on average: category;
    - a name like angle, phase, azimuth, longitude or hour, and values that fill 2π, 360 or 24: periodic;
    - single values with at least 5 % of the rows, and ten times as many as any other value: mixed, those are its atoms;
    - from 200 rows on, all numbers within [0, 1] or [0, 100] and up to both ends: bounded; all above 0 and down to it:
      positive. Up to an end means that the outermost is at most half as far from it as the tenth, and of an interval at
      most a fiftieth of its length;
    - otherwise continuous; with heavy tails where the generalised Pareto index of the outermost twentieth of rows on a
      side is above 0.1 by two standard errors.

    Arguments:
        table: the columns to be learned, of numbers, text, booleans, dates; numbers may come as text.
        declared: columns that a user knows to be of a kind.
        source: what sentences call the table.

    Raises:
        InputError: a column that no density can be learned of, or a declared one that the table contradicts or lacks.

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
                f'the schema names a column "{name}" that {source} has not; {nearest(name, table.column_names)}'
            )
    return {name: _learn(table.column(name), declared.get(name), name, source) for name in table.column_names}


def columns_of_text(table: pa.Table, declared: Mapping[str, Column], *, source: str) -> list[str]:
    """The columns of some rows that are text, and not the text of numbers.

    Arguments:
        table: rows of a CSV.
        declared: columns that a user knows to be of a kind.
        source: what sentences call the table.

    Raises:
        InputError: a text among numbers.
    """
    found = []
    for name in table.column_names:
        kind, column = declared.get(name), plain(table.column(name))
        if not is_text(column) or isinstance(kind, AllMissing):
            continue
        if kind is not None and not isinstance(kind, Category | Constant):
            if isinstance(kind, DateTime):
                found.append(name)
            continue
        if isinstance(kind, Category | Constant) and (kind.numeric or not column.null_count < len(column)):
            continue
        if column.null_count < len(column) and not _is_numbers(column, name, source):
            found.append(name)
    return found


def _learn(column: Any, declared: Column | None, name: str, source: str) -> Column:
    column = plain(column)
    rows = len(column)
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing += int(pc.sum(pc.is_nan(column)).as_py() or 0)
    if isinstance(declared, AllMissing):
        return declared
    if missing == rows:
        if declared is not None:
            raise InputError(f'column "{name}" of {source} has no values at all, and cannot be {declared.kind}.')  # type: ignore[attr-defined]
        return AllMissing(missing=1.0)
    learned = _of_kind(column, declared, name, source)
    return learned.model_copy(update={"missing": missing / rows})


def _of_kind(column: Any, declared: Column | None, name: str, source: str) -> Column:
    kind = column.type
    # Declared first: it says how text is to be read.
    if isinstance(declared, Category):
        return _category(column, declared, name, source)
    if isinstance(declared, Constant):
        return declared if declared.value is not None else Constant(value=_first(column))
    if isinstance(declared, DateTime):
        return _date_time(column, declared, name, source)
    if declared is None:
        if pa.types.is_boolean(kind):
            return _constant(column) or _category(column, Category(), name, source)
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return _date_time(column, DateTime(), name, source)
        if is_text(column) and not _is_numbers(column, name, source):
            if pc.all(pc.match_substring_regex(column, DATE_TIME_TEXT)).as_py():
                return _date_time(column, DateTime(), name, source)
            return _constant(column) or _category(column, Category(), name, source)
    values = numbers(column, name, source)
    values = values[~np.isnan(values)]
    return _numeric(values, declared, name, source)


def _numeric(values: np.ndarray, declared: Column | None, name: str, source: str) -> Column:
    """Numbers, all finite, without those that are missing."""
    if isinstance(declared, Integer):
        return _integer(values, declared)
    if isinstance(declared, Periodic):
        return _periodic(values, declared)
    if isinstance(declared, Mixed):
        return _mixed(values, declared, name, source)
    if isinstance(declared, Positive):
        return declared if declared.log is not None else declared.model_copy(update={"log": heavy_tails(values)[1] > 0})
    if isinstance(declared, Continuous):
        return _with_tails(values, declared)
    if declared is not None:
        return declared
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Constant(value=int(low) if low.is_integer() and abs(low) < LARGEST_INTEGER else low)
    circle = circle_of(values, name)
    if circle is not None:
        return _periodic(values, circle)
    if max(abs(low), abs(high)) < LARGEST_INTEGER and bool((values == np.floor(values)).all()):
        return _integer(values, Integer())
    different, counts = np.unique(values, return_counts=True)
    if len(different) <= MOST_NUMERIC_LEVELS and len(values) >= ROWS_OF_LEVEL * len(different):
        levels: list[Level] = different.tolist()
        return Category(levels=levels, frequencies=_smoothed(counts))
    atoms = atoms_of(different, counts)
    rest = values[~np.isin(values, atoms)]
    bounds = bounds_of(rest, values)
    if atoms:
        return _mixed(values, Mixed(atoms=atoms, low=bounds[0], high=bounds[1]), name, source)
    if bounds == (0.0, None):
        return Positive(log=heavy_tails(values)[1] > 0)
    if bounds != (None, None):
        return Bounded(low=bounds[0], high=bounds[1])
    return _with_tails(values, Continuous())


def _integer(values: np.ndarray, declared: Integer) -> Integer:
    step, offset = declared.step, declared.offset
    if step is None:
        offset = int(values.min()) if declared.low is None else declared.low
        step = int(np.gcd.reduce((values - offset).astype(np.int64))) or 1
    low, high = declared.low, declared.high
    smallest, largest = int(values.min()), int(values.max())
    observed = low is None and high is None and (largest - smallest) // step < FEW_VALUES
    if observed:
        low, high = smallest, largest
        if low == high:  # declared as an integer, and constant
            return declared.model_copy(update={"step": step, "offset": offset})
    elif low is None and high is None and smallest >= 0:
        low = 0
    frequencies = None
    if low is not None and high is not None and (high - low) // step < MOST_CELLS:
        if not observed:
            offset = low
        high = low + (high - low) // step * step
        places = ((values - low) / step).astype(np.int64)
        inside = (places >= 0) & (places <= (high - low) // step)
        frequencies = _smoothed(np.bincount(places[inside], minlength=(high - low) // step + 1))
    return Integer(low=low, high=high, step=step, offset=offset, frequencies=frequencies)


def _category(column: Any, declared: Category, name: str, source: str) -> Category:
    column = column.drop_null()
    if pa.types.is_floating(column.type):
        column = column.filter(pc.is_finite(column))
    found = {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}
    levels = declared.levels
    if levels is None:
        if len(found) > MOST_LEVELS or (len(found) > 50 and len(found) > len(column) / 2):
            raise InputError(
                f'column "{name}" of {source} has {len(found)} different texts in {len(column)} rows, too many for '
                f"levels of a category: they look like names of rows; {leave_out(source)}."
            )
        if all(isinstance(level, int | float) and not isinstance(level, bool) for level in found):
            levels = sorted(found)
        else:
            levels = sorted(found, key=lambda level: (-found[level], str(level)))
    as_text: Counter = Counter()
    for level, count in found.items():
        as_text[str(level).lower() if isinstance(levels[0], bool) else _key(level, levels[0])] += count
    keys = [str(level).lower() if isinstance(level, bool) else _key(level, levels[0]) for level in levels]
    return Category(levels=levels, frequencies=_smoothed(np.array([as_text[key] for key in keys])))


def _key(level: Any, like: Any) -> Any:
    """A level as it compares with declared ones: numbers by value, whatever they are written as."""
    if isinstance(like, str):
        return str(level)
    try:
        return float(level)
    except (TypeError, ValueError):
        return level


def _date_time(column: Any, declared: DateTime, name: str, source: str) -> DateTime:
    whole, there, nanoseconds = ticks(column, name, source)
    whole = whole[there]
    step: Any = declared.step or next(
        step for step, length in STEPS.items() if length <= nanoseconds or not (whole % (length // nanoseconds)).any()
    )
    length = STEPS[step]
    smallest = int(whole.min())
    origin = smallest * (nanoseconds // length) if nanoseconds >= length else smallest // (length // nanoseconds)
    if is_text(column):
        zoned = not pc.all(pc.match_substring_regex(column, r"^[0-9-]{10}([T ][0-9:.]+)?$")).as_py()
        date = step == "day" and bool(pc.all(pc.equal(pc.utf8_length(column), 10)).as_py())
        zone = "UTC" if zoned else None
    else:
        date = pa.types.is_date(column.type)
        zone = None if date else column.type.tz
    return DateTime(
        step=step,
        origin=declared.origin if declared.origin is not None else origin,
        zone=declared.zone or zone,
        date=date if declared.date is None else declared.date,
    )


def _periodic(values: np.ndarray, declared: Periodic) -> Periodic:
    period = declared.period
    angle = np.mod(values - declared.low, period)
    step = declared.step
    if step is None:
        step = 1.0 if float(period).is_integer() and bool((values == np.floor(values)).all()) else 0.0
    # The emptiest of 36 sectors, or the first step.
    counts = np.bincount(np.minimum((angle / period * 36).astype(int), 35), minlength=36)
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    start = declared.low + (int(smooth.argmin()) + 0.5) * period / 36
    if step:
        start = declared.low + np.floor((start - declared.low) / step) * step
    return declared.model_copy(
        update={"step": step, "start": float(declared.start if declared.start is not None else start)}
    )


def _mixed(values: np.ndarray, declared: Mixed, name: str, source: str) -> Mixed:
    atoms = declared.atoms or atoms_of(*np.unique(values, return_counts=True))
    if not atoms:
        raise InputError(
            f'column "{name}" of {source} is declared as mixed, and no value of it is frequent enough for an atom; '
            "name its atoms in the schema."
        )
    rest = values[~np.isin(values, atoms)]
    if len(np.unique(rest)) < 4:
        raise InputError(
            f'column "{name}" of {source} has fewer than 4 different values beside its atoms; declare it as a category.'
        )
    counts = np.array([np.count_nonzero(values == atom) for atom in atoms]) + PSEUDO_ROWS
    shares = counts / (counts.sum() + len(rest))
    bounds: dict[str, Any] = {
        "low": [-np.inf if declared.low is None else declared.low],
        "high": [np.inf if declared.high is None else declared.high],
    }
    spline = MarginalSpline.from_data(torch.from_numpy(rest)[:, None], **bounds)
    marginal = Marginal(z=spline.z_knots[0].tolist(), x=spline.x_knots[0].tolist(), slopes=spline.slopes[0].tolist())
    return declared.model_copy(
        update={"atoms": [float(atom) for atom in atoms], "shares": shares.tolist(), "marginal": marginal}
    )


def _with_tails(values: np.ndarray, declared: Continuous) -> Continuous:
    if declared.tail is not None or declared.heavy is False:
        return declared
    lower, upper = heavy_tails(values, always=bool(declared.heavy))
    if lower == upper == 0:
        return declared.model_copy(update={"heavy": False})
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    if not quartiles[0] < quartiles[1] < quartiles[2]:
        return declared.model_copy(update={"heavy": False})
    # A light side has nearly an exponential tail in these units, as light as the transform goes.
    tails = [min(max(index, 0.02), 2.0) for index in (lower, upper)]
    quarter = [np.expm1(index * np.log(2)) / index for index in tails]  # half of all draws lie within
    scale = 0.5 * ((quartiles[1] - quartiles[0]) / quarter[0] + (quartiles[2] - quartiles[1]) / quarter[1])
    tail = Tail(lower=tails[0], upper=tails[1], shift=float(quartiles[1]), scale=float(scale))
    return declared.model_copy(update={"heavy": True, "tail": tail})


def _smoothed(counts: np.ndarray) -> list[float]:
    counts = counts + PSEUDO_ROWS
    return (counts / counts.sum()).tolist()


def _is_numbers(column: Any, name: str, source: str) -> bool:
    """Whether text is that of numbers; if it is so for the most part, the first that is not is refused."""
    number = pc.fill_null(pc.match_substring_regex(column, _NUMBER), True)
    special = pc.fill_null(pc.match_substring_regex(pc.utf8_lower(column), r"^\s*[+-]?inf(inity)?\s*$"), False)
    number = pc.or_(number, special)
    share = pc.mean(pc.cast(number.filter(pc.is_valid(column)), pa.float64())).as_py() or 0.0
    if share < MOSTLY_NUMBERS:
        return False
    numbers(column, name, source)
    return True


def _constant(column: Any) -> Constant | None:
    return Constant(value=_first(column)) if len(pc.unique(column.drop_null())) == 1 else None


def _first(column: Any) -> Level:
    return column.drop_null()[0].as_py()

"""What the name of a column and its values together suggest, and no kind may guess."""

import datetime
import re
from typing import Any

import numpy as np

from pushforward.support.wording import shortest
from pushforward.tables.arrow import pa, pc
from pushforward.tables.columns.atoms import remark_of_marks
from pushforward.tables.columns.circles import beside_circle
from pushforward.tables.columns.timestamps import has_offsets, zone_of_text
from pushforward.tables.columns.values import Values
from pushforward.tables.date_format import parse_dates
from pushforward.tables.date_patterns import directives
from pushforward.tables.numbers import LARGEST_EXACT

TIMES = re.compile(
    r"(^|[^a-z])(time|timestamp|date|datetime|created|updated|modified|epoch|unix|ts)([^a-z]|$)|_at$", re.I
)
# Seconds from the beginning of 1970 to those of 1990 and 2100, and how many units a second has.
OF_OUR_TIME = 631_152_000, 4_102_444_800
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6}
FEWEST_ROWS = 20
# By the number of digits; so few different numbers may have such digits by chance.
DIGITS_OF_TIMES = {
    6: ("%Y%m", "months written as yyyymm", "2024-02"),
    10: ("%Y%m%d%H", "hours written as yyyymmddHH", '"2024-02-29 13:00"'),
    12: ("%Y%m%d%H%M", "minutes written as yyyymmddHHMM", '"2024-02-29 13:05"'),
    14: ("%Y%m%d%H%M%S", "seconds written as yyyymmddHHMMSS", '"2024-02-29 13:05:00"'),
}
LEAST_DIFFERENT = 10
# Plans and contracts reach so far into the future.
YEARS_AHEAD = 1


def hint_of(values: Values) -> str | None:
    """Return a sentence about numbers that are likely marks beside an angle, or moments in Unix time; None for none.

    Example:
        >>> import pyarrow as pa
        >>> column = pa.array(1_600_000_000 + 977 * np.arange(100))
        >>> print(hint_of(Values(column, "created_at", "the table")))
        looks like Unix time in seconds and is taken for a number: convert it to dates and times if it is
    """
    marks = beside_circle(values)
    if marks:
        return remark_of_marks([shortest(mark) for mark in marks], "outside of the circle that all other values fill")
    digits = _digits_of_times(values)
    if digits:
        return f"looks like {digits[0]} and is taken for a number: write dates such as {digits[1]} if it is"
    unit = _unix_unit(values)
    return unit and f"looks like Unix time in {unit} and is taken for a number: convert it to dates and times if it is"


def hint_of_size(values: Values) -> str | None:
    """Return a sentence about whole numbers of which float64 does not tell all apart; None for others.

    Example:
        >>> import pyarrow as pa
        >>> print(hint_of_size(Values(pa.array([1.0, 2.0, 3.0, 2.0**60]), "bytes", "the table")))
        has whole numbers beyond 2^53, which float64 does not tell apart, and is taken for continuous
    """
    largest = np.abs(values.observed).max(initial=0.0)
    # Beyond it all numbers are whole, and say nothing.
    if largest <= LARGEST_EXACT or np.median(np.abs(values.observed)) > LARGEST_EXACT:
        return None
    if not np.array_equal(values.observed, np.floor(values.observed)):
        return None
    return "has whole numbers beyond 2^53, which float64 does not tell apart, and is taken for continuous"


def hint_of_levels(column: Any, values: Values) -> str | None:
    """Return a sentence about scattered numbers or dates that are taken for levels; None for others.

    Measurements of few subjects, each in many rows, look the same: only whoever has the table knows.

    Arguments:
        column: what the values are taken for, which nobody declared.
        values: they.
    """
    dates = pa.types.is_temporal(column.arrow_type)
    if column.measured or not (dates or (column.numeric and values.tally.scattered)):
        return None
    kind = "date-time" if dates else "continuous"
    return f'takes few values that no grid explains: if others can occur, as of new subjects, declare "{kind}"'


def hint_of_century(values: Values, form: object) -> str | None:
    """Return a sentence about years of two digits that lie in the future; None for none.

    Arguments:
        values: read.
        form: how they are written.
    """
    if not isinstance(form, str) or not {"%y", "%g"} & set(directives(form)) or not values.is_dates:
        return None
    last = pc.max(values.column).as_py()
    if last is None or last.year <= datetime.date.today().year + YEARS_AHEAD:
        return None
    return (
        f"has years of two digits up to {last.year}, since 00 to 68 are read as 2000 to 2068: write years of four "
        "digits if they are past"
    )


def hint_of_offsets(text: Values, read: Values, form: Any = None) -> str | None:
    """Return a sentence about text whose offsets from UTC are those of no one time zone; None for others.

    Arguments:
        text: as it is written.
        read: the same as it is read.
        form: how it is written; default ISO 8601.

    Example:
        >>> import pyarrow as pa
        >>> column = pa.array(["2024-01-01T12:00+01:00", "2024-01-02T12:00-08:00"])
        >>> values = Values(column, "at", "the table")
        >>> print(hint_of_offsets(values, values))
        has offsets from UTC that differ as in no one time zone: its times are counted in UTC
    """
    if not has_offsets(text, form) or zone_of_text(text, read, form) is not None:
        return None
    return "has offsets from UTC that differ as in no one time zone: its times are counted in UTC"


def _digits_of_times(values: Values) -> tuple[str, str] | None:
    """How whole numbers that are all months, or dates with times, in digits alone are called, and an example."""
    if not values.is_numeric or len(values.observed) < FEWEST_ROWS:
        return None
    low, high = values.observed.min(), values.observed.max()
    for digits, (form, *called) in DIGITS_OF_TIMES.items():
        if 1900 * 10.0 ** (digits - 4) <= low and high < 2101 * 10.0 ** (digits - 4):
            numbers = values.tally.different
            if len(numbers) < LEAST_DIFFERENT or not np.array_equal(numbers, np.floor(numbers)):
                return None
            texts = pc.cast(pa.array(numbers.astype(np.int64)), pa.string())
            return (called[0], called[1]) if parse_dates(texts, form).null_count == 0 else None
    return None


def _unix_unit(values: Values) -> str | None:
    """The unit in which all whole numbers of a column named like a time are moments of our time."""
    if not TIMES.search(values.name) or not values.is_numeric or len(values.observed) < FEWEST_ROWS:
        return None
    low, high = values.observed.min(), values.observed.max()
    inside = [unit for unit, per in UNITS.items() if OF_OUR_TIME[0] * per <= low < high < OF_OUR_TIME[1] * per]
    whole = bool(inside) and np.array_equal(values.observed, np.floor(values.observed))
    return inside[0] if whole else None

"""How the values of a column are written where that is not plain: dressed numbers, dates that are not ISO, times.

A format is recognized once, in the fit, and kept in the schema: later tables are read by it and draws are written in
it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.support.wording import percent
from pushforward.tables.arrow import pa, pc
from pushforward.tables.checks import FRAME, declare_missing, leave_out
from pushforward.tables.columns.timestamps import ISO, impossible_date
from pushforward.tables.columns.values import (
    INFINITE,
    LIMIT,
    PLAIN_NUMBER,
    WHOLE_NUMBER,
    Values,
    are_identifiers,
    match_all,
)
from pushforward.tables.date_digits import digit_formats
from pushforward.tables.date_format import (
    NO_DATES,
    are_compact,
    check_format,
    date_formats,
    not_in_calendar,
    parse_dates,
    styles_of,
    write_dates,
)
from pushforward.tables.date_format import in_detail as dates_in_detail
from pushforward.tables.date_patterns import COMPACT, SHORT_DIGITS, directives, has_clock, is_time
from pushforward.tables.number_format import NumberFormat, number_formats, parse_numbers, write_numbers
from pushforward.tables.number_format import in_detail as numbers_in_detail
from pushforward.tables.number_marks import may_have_thousands
from pushforward.tables.numbers import BadValue, to_numpy
from pushforward.tables.other_digits import ascii_digits

# How to read columns that have types of their own: both in seconds.
TIME, DURATION = "time", "duration"
Format = NumberFormat | str
# At most so many texts without a digit may stand beside numbers to be called marks of missing values, if there are at
# least as many different numbers as this.
MOST_MARKS, NUMBERS_BESIDE_MARKS = 3, 10
LEAST_BESIDE_LIMITS = 2
# Dates as whole numbers; the last day of the calendar and nines stand for no date.
FIRST_DAY, LAST_DAY, NO_DAY = 19_000_101, 99_991_231, 99_999_999
# What a spreadsheet writes where a formula has no value.
ERROR = r"^#[A-Z0-9/]+[!?]$"
# Dates that are written as whole numbers.
_NUMBERS = (COMPACT, *SHORT_DIGITS)
# The first and the last whole number that may be a day with its month before or behind it, of the years 1900 to 2100.
_FIRST_DIGITS, _LAST_DIGITS = 1_011_900, 31_122_100
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Conventions:
    """What a user says of the text of a table, where the text itself does not decide.

    Attributes:
        decimal: the decimal mark of text, "." or ","; None for what the text says.
        date_format: the format of dates in text, in the directives of `strptime`; None for what the text says.
    """

    decimal: str | None = None
    date_format: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither a mark nor a format.

        Raises:
            InputError: another decimal mark, or a date format that is not known.
        """
        if self.decimal not in (None, ".", ","):
            raise InputError(f'the decimal mark must be "." or ","; it is "{self.decimal}".')
        if self.date_format is not None:
            check_format(self.date_format)


PLAIN = Conventions()


def describe_format(form: Format) -> str:
    """Return a format in words."""
    if isinstance(form, NumberFormat):
        return form.describe()
    if form == DURATION:
        return "durations, in seconds"
    if form == TIME or is_time(form):
        return "times of day, in seconds after midnight" + ("" if form == TIME else f', written "{form}"')
    return f'dates written "{form}"' + (", of the years 1969 to 2068" if {"%y", "%g"} & set(directives(form)) else "")


def type_in(form: Format | None, plain: Any) -> Any:
    """Return the type of pyarrow in which values of a format are written; `plain` for no format."""
    if form is None or form == DURATION:
        return plain
    return pa.time64("us") if form == TIME else pa.int64() if form in _NUMBERS else pa.string()


def read_as(values: Values, form: Format | None) -> Values:
    """Return values that are written in a format as numbers or dates; those that are typed stay as they are.

    Raises:
        BadValue: a text is not written so.
    """
    if form is None:
        return values
    column = values.column
    if form in (TIME, DURATION) and not values.is_text:
        return values.replaced(_seconds(column), times_of_day=form == TIME)
    if form in _NUMBERS and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        column = pc.cast(pc.cast(column, pa.int64()), pa.string())
    elif not values.is_text:
        return values
    found = _parsed(column, form)
    bad = np.flatnonzero(to_numpy(pc.and_(pc.is_null(found), pc.is_valid(column))))
    if len(bad):
        place = int(bad[0])
        shown = f'the text "{shortened(str(column[place].as_py()), 40)}"'
        raise values.bad_value(place, shown, f"where {describe_format(form)} are needed", "correct it")
    return values.replaced(found, times_of_day=form == TIME or (isinstance(form, str) and is_time(form)))


def write_as(column: Any, form: Format | None) -> Any:
    """Write numbers or dates, an array of pyarrow, in a format."""
    if form is None or form == DURATION:
        return column
    if isinstance(form, NumberFormat):
        return write_numbers(pc.cast(column, pa.float64()), form)
    if form == TIME:
        micro = np.round(to_numpy(pc.fill_null(pc.cast(column, pa.float64()), 0.0)) * 1e6).astype(np.int64)
        present = to_numpy(pc.is_valid(column))
        return pa.array(np.mod(micro, 86_400_000_000), pa.int64(), mask=~present).cast(pa.time64("us"))
    text = write_dates(column, form)
    return pc.cast(text, pa.int64()) if form in _NUMBERS else text


def recognized(values: Values, conventions: Conventions) -> Format | None:
    """Return the one format in which all values of a column are written, None for plain ones and for text.

    Raises:
        InputError: the values look like numbers or dates, and more than one format gives them different values, or a
            few texts among them look like marks of missing values.
    """
    if pa.types.is_time(values.type):
        return TIME
    if pa.types.is_duration(values.type):
        return DURATION
    if not values.is_text:
        return _recognized_integers(values, conventions)
    column = values.column.drop_null()
    head = pc.unique(column.slice(0, 1000))
    # The first rows tell soonest that it is none.
    plain = match_all(head, PLAIN_NUMBER) and bool(pc.all(values.plain_numbers).as_py())
    plain = plain and not (conventions.decimal is None and may_have_thousands(column))
    bare = pc.utf8_trim_whitespace(head)
    if plain and not (conventions.decimal == "," or are_compact(head) or _may_be_digits(bare)):
        return None
    texts = pc.unique(pc.utf8_trim_whitespace(column))
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if len(texts) < 2:
        return None
    bare = ascii_digits(texts)
    if bare is not texts and are_identifiers(bare):
        return None
    if are_compact(bare):
        _refuse_no_dates(bare, values)
        return COMPACT
    digits = digit_formats(bare, conventions.date_format)
    if digits or (plain and match_all(texts, WHOLE_NUMBER)):
        return _one_order(digits, texts[0].as_py(), values)
    form = _format_of(texts, values, conventions)
    if form is None:
        _refuse_marks(texts, values)
        _refuse_impossible(texts, values)
        _refuse_mixed_styles(texts, values)
        _refuse_limits(texts, values)
    return form


def _may_be_digits(texts: Any) -> bool:
    """Whether all of some texts may be dates in digits alone that begin with the day or the month."""
    return len(texts) > 0 and match_all(texts, "^[0-9]{7,8}$")


def _recognized_integers(values: Values, conventions: Conventions) -> Format | None:
    """Whole numbers that are all dates."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)) or values.missing == len(values):
        return None
    ends = pc.min_max(pc.drop_null(values.column))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low >= _FIRST_DIGITS and high <= _LAST_DIGITS:
        numbers = values.tally.different
        digits = []
        if (numbers == np.floor(numbers)).all():
            digits = digit_formats(pa.array(numbers.astype(np.int64)).cast(pa.string()), conventions.date_format)
        if digits:
            return _one_order(digits, f"{numbers[0]:.0f}", values)
    if (low != 0 and low < FIRST_DAY) or not (high < 21_010_000 or high in (LAST_DAY, NO_DAY)):
        return None
    numbers = values.tally.different
    if (numbers != np.floor(numbers)).any():
        return None
    texts = pa.array(numbers.astype(np.int64)).cast(pa.string())
    if not are_compact(texts):
        return None
    _refuse_no_dates(texts, values)
    return COMPACT


def _refuse_no_dates(texts: Any, values: Values) -> None:
    """Refuse zeros and nines among dates of eight digits."""
    marks = texts.filter(pc.is_in(texts, value_set=pa.array(NO_DATES, texts.type)))
    if not len(marks):
        return
    rows = pc.equal(pc.utf8_trim_whitespace(pc.cast(_whole(values.column), pa.string())), marks[0])
    row = values.first_row + pc.index(rows, True).as_py()
    named = ",".join(marks.to_pylist())
    raise BadValue(
        row,
        f'{values.what} holds {marks[0]} in row {row}, and dates such as "20240229" elsewhere: if it stands for a '
        f"missing value, say so {declare_missing(values.source, named)}; otherwise correct it, or "
        f"{leave_out(values.source, 'the column')}.",
    )


def _whole(column: Any) -> Any:
    """Whole numbers that may be floats, as integers; text as it is."""
    return pc.cast(column, pa.int64()) if pa.types.is_floating(column.type) else column


def _format_of(texts: Any, values: Values, conventions: Conventions) -> Format | None:
    """The one format of different texts, None for none."""
    shown = f'such as "{shortened(texts[0].as_py(), 30)}"'
    # Without spaces around it, which these texts have lost.
    iso = match_all(texts, ISO) and match_all(values.column, ISO)
    if conventions.date_format is None and iso:
        return None
    dates = date_formats(texts, conventions.date_format)
    _one_order(dates, texts[0].as_py(), values)
    if dates:
        return None if iso and dates[0].startswith("%Y-%m-%d") else dates_in_detail(texts, dates[0])
    numbers = number_formats(texts, conventions.decimal)
    if len(numbers) > 1:
        option = "decimal=" if values.source == FRAME else "--decimal"
        mark = numbers[0].thousands
        shown = shortened(next(text for text in texts.to_pylist() if mark in text), 30)
        raise InputError(
            f'{values.what} holds numbers such as "{shown}", whose {"comma" if mark == "," else "point"} may stand '
            f'between thousands or before decimals; say which with {option}, "." or ",".'
        )
    # Plain numbers are read without a format.
    plain = not numbers or (numbers[0] == NumberFormat() and bool(pc.all(values.plain_numbers).as_py()))
    return None if plain else numbers_in_detail(texts, numbers[0])


def _one_order(dates: list[str], shown: str, values: Values) -> str | None:
    """The format of dates, None for none; refuses several that disagree."""
    if len(dates) < 2:
        return dates[0] if dates else None
    quarters = any("%q" in form for form in dates)
    reason = "which may be months or quarters" if quarters else "which can be read in more than one order"
    named = " or ".join(f'"{form.replace("%-", "%")}"' for form in dates)
    option = "date_format=" if values.source == FRAME else "--date-format"
    shown = shortened(shown, 30)
    raise InputError(f'{values.what} holds dates such as "{shown}", {reason}; say which with {option} {named}.')


def _refuse_marks(texts: Any, values: Values) -> None:
    """Refuse a few texts without a digit beside numbers or dates: they look like marks of missing values."""
    digits = pc.and_not(pc.match_substring_regex(texts, "[0-9]"), pc.match_substring_regex(texts, ERROR))
    marks, others = texts.filter(pc.invert(digits)), texts.filter(digits)
    if not 1 <= len(marks) <= MOST_MARKS or len(others) < NUMBERS_BESIDE_MARKS:
        return
    if pc.any(pc.match_substring_regex(pc.utf8_lower(marks), INFINITE)).as_py():
        return
    if not (match_all(others, PLAIN_NUMBER) or date_formats(others) or number_formats(others)):
        return
    rows = pc.is_in(pc.utf8_trim_whitespace(values.column), value_set=marks)
    share = (pc.sum(rows).as_py() or 0) / len(values)
    named = ",".join(marks.to_pylist())
    option = declare_missing(values.source, named)
    row = values.first_row + pc.index(rows, True).as_py()
    if marks.to_pylist() == [values.name.strip()]:
        raise BadValue(row, f"{values.what} holds its own name in row {row}, where the header stands again; remove it.")
    once, last = pc.sum(rows).as_py() == 1, values.first_row + len(values) - 1
    remove = {
        values.first_row: "if that row has units or a title, remove it",
        last: "if that row is a remark, remove it",
    }
    also = f"{remove[row]}; " if once and row in remove else ""
    raise BadValue(
        row,
        f'{values.what} holds the text "{shortened(marks[0].as_py(), 40)}" in row {row}, and '
        f"numbers or dates elsewhere ({share:.1%} of the rows are such text): {also}if it stands for a missing value, "
        f"say so {option}; otherwise correct it, or {leave_out(values.source, 'the column')}.",
    )


def _refuse_impossible(texts: Any, values: Values) -> None:
    """Refuse a few impossible dates in a column of dates."""
    if len(texts) < NUMBERS_BESIDE_MARKS + MOST_MARKS:
        return
    bad = not_in_calendar(texts, MOST_MARKS)
    if len(bad):
        rows = pc.is_in(pc.utf8_trim_whitespace(values.column), value_set=bad)
        place = pc.index(rows, True).as_py()
        raise impossible_date(values, place)


def _refuse_mixed_styles(texts: Any, values: Values) -> None:
    """Refuse dates that are written in two or three styles."""
    # Dates in ISO 8601 with and without times are of one style.
    if len(texts) < NUMBERS_BESIDE_MARKS or match_all(texts, ISO) or len(styles := styles_of(texts)) < 2:
        return
    bare = pc.utf8_trim_whitespace(values.column)
    places = sorted(pc.index(bare, texts[place]).as_py() for _, place in styles)
    named = [f'"{bare[place].as_py()}" in row {values.first_row + place}' for place in places]
    raise InputError(
        f"{values.what} holds dates in {len(named)} styles, {' and '.join([', '.join(named[:-1]), named[-1]])}; write "
        "all in one, such as 2024-02-29."
    )


def _refuse_limits(texts: Any, values: Values) -> None:
    """Refuse limits among numbers, such as "<0.5": neither numbers nor levels, and no one else knows what they mean."""
    limits = pc.match_substring_regex(texts, LIMIT)
    marks, others = texts.filter(limits), texts.filter(pc.invert(limits))
    if not len(marks) or len(others) < LEAST_BESIDE_LIMITS or not match_all(others, PLAIN_NUMBER):
        return
    if values.has_open_end:
        return
    rows = pc.is_in(pc.utf8_trim_whitespace(values.column), value_set=marks)
    share = (pc.sum(rows).as_py() or 0) / len(values)
    row = values.first_row + pc.index(rows, True).as_py()
    named = ",".join(marks.to_pylist())
    missing = f", or declare them missing {declare_missing(values.source, named)}" if len(marks) <= MOST_MARKS else ""
    raise BadValue(
        row,
        f'{values.what} holds limits among numbers, first "{shortened(marks[0].as_py(), 20)}" in row {row}, in '
        f"{percent(share)} of the rows: write a number in their place, such as half of a detection limit{missing}.",
    )


def _parsed(column: Any, form: Format) -> Any:
    """Text as numbers or dates, each different text once; null where it is not written so."""
    encoded = column.dictionary_encode()
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    parts = [_parsed_texts(chunk.dictionary, form).take(chunk.indices) for chunk in chunks]
    return pa.chunked_array(parts) if parts else pa.chunked_array([_parsed_texts(pa.array([], pa.string()), form)])


def _parsed_texts(texts: Any, form: Format) -> Any:
    if isinstance(form, NumberFormat):
        return parse_numbers(texts, form)
    if form == TIME:
        return pc.coalesce(parse_dates(texts, "%H:%M:%S"), parse_dates(texts, "%H:%M"))
    if form == DURATION:
        return parse_numbers(texts, NumberFormat())
    dates = parse_dates(texts, form)
    return dates if has_clock(form) else pc.cast(dates, pa.date32())


def _seconds(column: Any) -> Any:
    """Durations, or times of day, in seconds; numbers are seconds."""
    if not (pa.types.is_time(column.type) or pa.types.is_duration(column.type)):
        return column
    ticks = _TICKS[column.type.unit]
    whole = pa.int32() if pa.types.is_time32(column.type) else pa.int64()
    return pc.divide(pc.cast(pc.cast(column, whole), pa.float64()), float(ticks))

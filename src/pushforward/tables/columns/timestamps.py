"""Date-times as ticks, whole numbers since the beginning of 1970: those of a column, and those written in ISO 8601."""

import re
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.checks import declare_missing
from pushforward.tables.columns.calendar import CalendarGrid, rest_of
from pushforward.tables.columns.offsets import offsets_of, zone_of_offsets
from pushforward.tables.columns.values import Values, match_all
from pushforward.tables.numbers import BadValue, to_numpy

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # of pyarrow, in nanoseconds
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO = rf"^{_DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"
# As numpy writes them, which knows years of more than four digits.
_ISO_WITHOUT_ZONE = r"[+-]?[0-9]*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?"
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_WITHOUT_ZONE = r"^[0-9-]{10}([T ][0-9:.]+)?$"
# Ticks of nanoseconds reach so many microseconds from 1970.
FURTHEST_IN_NANOSECONDS = 9_223_372_036_854_775


def may_be_moments(values: Values) -> bool:
    """Whether values are dates, timestamps, or text in which every value is an ISO date or date-time."""
    if values.is_text:
        return not values.is_numeric and match_all(values.column, ISO)
    return values.is_dates


def ticks_of(values: Values) -> tuple[np.ndarray, np.ndarray, int]:
    """Return date-times as ticks, (n,) int64; which are present, (n,); and the nanoseconds of one tick.

    Raises:
        BadValue: a value is not a date-time.
    """
    column = _parsed(values) if values.is_text else values.column
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        raise BadValue(values.first_row, f"{values.what} is of type {column.type}, where date-times are needed.")
    present = to_numpy(pc.is_valid(column))
    return to_numpy(pc.fill_null(pc.cast(column, pa.int64()), 0)), present, UNITS[column.type.unit]


def tick_of(text: str, nanoseconds: int) -> int:
    """Return the tick of a date-time in ISO 8601, without a zone.

    Arguments:
        text: the date-time.
        nanoseconds: of one tick.

    Example:
        >>> tick_of("1970-01-02", UNITS["s"])
        86400
    """
    return int(np.array(text, dtype=f"datetime64[{arrow_unit(nanoseconds)}]").astype(np.int64))


def iso(tick: int, nanoseconds: int) -> str:
    """Return a tick in ISO 8601, as a date alone if it is the beginning of a day.

    Example:
        >>> iso(86_400, UNITS["s"]), iso(86_460, UNITS["s"])
        ('1970-01-02', '1970-01-02T00:01:00')
    """
    shown = str(np.array(tick, dtype=np.int64).astype(f"datetime64[{arrow_unit(nanoseconds)}]"))
    shown = re.sub(r"\.?0+$", "", shown) if "." in shown else shown
    return shown if rest_of(np.array([tick]), "day", nanoseconds)[0] else shown.split("T")[0]


def checked_iso(value: Any) -> Any:
    """Return a date-time that was declared as text in ISO 8601.

    Raises:
        ValueError: text that is not a date-time, or has a zone.

    Example:
        >>> checked_iso(" 2024-02-29 ")
        '2024-02-29'
    """
    text = value.isoformat() if hasattr(value, "isoformat") else value
    if not isinstance(text, str):
        return text
    try:
        if re.fullmatch(_ISO_WITHOUT_ZONE, text.strip()):
            tick_of(text.strip(), UNITS["us"])
            return text.strip()
    except ValueError:
        pass  # no day of the calendar
    raise ValueError(
        "a date-time is written as 2024-02-29 or 2024-02-29 13:05:00, in UTC where the column has a time zone"
    )


def step_of(text: str, calendar: CalendarGrid) -> float:
    """Return how many steps of a grid lie between its origin and a date-time: with a half between two of them.

    Example:
        >>> months = CalendarGrid("month", 1, 0, False)
        >>> step_of("1970-03-01", months), step_of("1970-03-15", months)
        (2.0, 2.5)
    """
    tick = tick_of(text, UNITS["us"])
    if calendar.unit == "nanosecond":
        tick = min(max(tick, -FURTHEST_IN_NANOSECONDS), FURTHEST_IN_NANOSECONDS)
    ticks = np.array([tick], dtype=np.int64)
    return float((calendar.codes(ticks, UNITS["us"]) + 0.5 * calendar.off(ticks, UNITS["us"]))[0])


def arrow_unit(nanoseconds: int) -> str:
    """Return the unit of pyarrow of so many nanoseconds."""
    return next(unit for unit, length in UNITS.items() if length == nanoseconds)


def has_zone(values: Values) -> bool:
    """Whether times have a time zone."""
    if values.is_text:
        return bool(pc.any(pc.match_substring_regex(values.column, _ZONE)).as_py())
    return bool(pa.types.is_timestamp(values.type) and values.type.tz)


def check_zone(values: Values, present: np.ndarray, zone: str | None) -> None:
    """Refuse times with a time zone where a column has none, and the reverse.

    Arguments:
        values: date-times.
        present: (n,) which are not missing.
        zone: of the column, or None.

    Raises:
        BadValue: they differ.
    """
    if present.any() and has_zone(values) != (zone is not None):
        here, there = ("without", "with") if zone else ("with", "without")
        raise BadValue(
            values.first_row + int(present.argmax()),
            f"{values.what} holds times {here} a time zone, and the model was fitted to times {there} one; write "
            "both alike.",
        )


def zone_and_date(values: Values, ticks: np.ndarray, nanoseconds: int) -> tuple[str | None, bool]:
    """Return the time zone of date-times, or None; and whether they are dates alone.

    Offsets in text are those of a zone, or the moments are counted in UTC.
    """
    if not values.is_text:
        date = bool(pa.types.is_date(values.type))
        return None if date else values.type.tz, date
    zoned = not pc.all(pc.match_substring_regex(values.column, _WITHOUT_ZONE)).as_py()
    whole_days = not rest_of(ticks, "day", nanoseconds).any()
    return (zone_of_text(values, values) or "UTC") if zoned else None, whole_days and bool(
        pc.all(pc.equal(pc.utf8_length(values.column), 10)).as_py()
    )


def has_offsets(text: Values, form: object) -> bool:
    """Whether text has offsets from UTC, written in a format, or in ISO 8601 without one."""
    if not text.is_text:
        return False
    if form is None:
        return may_be_moments(text) and has_zone(text)
    return isinstance(form, str) and bool(re.search("%[-:^]?z", form))


def zone_of_text(text: Values, read: Values, form: str | None = None) -> str | None:
    """Return the time zone of text that has offsets, None where they are those of no one zone.

    Arguments:
        text: as it is written.
        read: the same as it is read.
        form: how it is written, with `%z`; default ISO 8601.
    """
    ticks, present, nanoseconds = ticks_of(read)
    micro = ticks[present] if nanoseconds == UNITS["us"] else ticks[present] * nanoseconds // UNITS["us"]
    return zone_of_offsets(micro, offsets_of(text.column.filter(pa.array(present)), form)) if present.any() else None


def in_own_zone(read: Values, text: Values, form: object) -> Values:
    """Return date-times that were read in a format with offsets in the zone that these tell, others as they are."""
    if not isinstance(form, str) or not has_offsets(text, form):
        return read
    zone = zone_of_text(text, read, form)
    return read if zone in (None, "UTC") else read.replaced(pc.cast(read.column, pa.timestamp("us", zone)))


def _parsed(values: Values) -> Any:
    """Text as timestamps."""
    column = values.column
    good = pc.fill_null(pc.match_substring_regex(column, ISO), True)
    zone = "UTC" if has_zone(values) else None
    if zone:
        bare = pc.and_(good, pc.invert(pc.fill_null(pc.match_substring_regex(column, _ZONE), True)))
        if pc.any(bare).as_py():
            place = pc.index(bare, True).as_py()
            shown, problem = str(column[place].as_py()), "without a time zone, and others have one"
            raise values.bad_value(place, shown, problem, "write all alike")
    try:
        if not pc.all(good, min_count=0).as_py():  # of no rows too
            raise pa.ArrowInvalid("not ISO 8601")
        return pc.cast(column, pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        place = next((place for place, ok in enumerate(good.to_pylist()) if not ok), None)
        if place is None:
            raise impossible_date(values, _first_impossible(column, zone)) from None
        needed = "where a date-time such as 2024-02-29 or 2024-02-29 13:05:00 is needed"
        raise values.bad_value(place, f'the text "{column[place].as_py()}"', needed, "correct it") from None


def impossible_date(values: Values, place: int) -> BadValue:
    """The error about a text that is written like a date, such as 2023-02-29."""
    shown = f'the text "{values.column[place].as_py()}"'
    return values.bad_value(
        place, shown, "which is not a date of the calendar", f"correct it, or name it {declare_missing(values.source)}"
    )


def _first_impossible(column: Any, zone: str | None) -> int:
    """The place of the first text that looks like a date-time and is none, such as 2023-02-29: by halves."""
    first, end = 0, len(column)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            pc.cast(column.slice(first, middle - first), pa.timestamp("us", zone))
            first = middle
        except pa.ArrowInvalid:
            end = middle
    return first

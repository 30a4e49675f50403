"""Dates and times of day as text: the forms in which people write them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.tables.arrow import pa, pc
from pushforward.tables.date_patterns import (
    COMPACT,
    DIRECTIVES,
    MONTHS,
    NUMBERS_ALONE,
    PLAIN,
    QUARTERS_ALONE,
    SHORT_DIGITS,
    WEEKDAYS,
    ZONES,
    directives,
    forms_of,
    is_time,
    pattern_of,
)
from pushforward.tables.number_format import tidy
from pushforward.tables.numbers import to_numpy

# Eight digits are a date only in these years.
COMPACT_YEARS = (1900, 2100)
# What stands for no date beside at least so many, and the year of the last day of the calendar, which does too.
NO_DATES, LEAST_BESIDE_MARKS, LAST_YEAR = ("0", "00000000", "99999999"), 10, 9999
LEAST_YEARS = 2  # of quarters that are written as numbers alone


def check_format(form: str) -> None:
    """Refuse a format with directives that are not known.

    Raises:
        InputError: the format says neither a day nor a time, or has an unknown directive.
    """
    parts = directives(form)
    unknown = [part for part in parts if part not in DIRECTIVES]
    told = {part[1] for part in parts}
    year = bool(told & set("Yy"))
    clock, day = bool(told & set("HI")), (year and bool(told & set("mbBq"))) or {"G", "V"} <= told or {"g", "V"} <= told
    if unknown or len(told) < len(parts) or not (day or (clock and not told & set("mbBd"))):
        raise InputError(
            f'the date format "{form}" is not known; write it like "%d/%m/%Y", "%Y-%m-%d %H:%M:%S" or "%H:%M", with '
            f"each of {', '.join(DIRECTIVES)} at most once."
        )


def parse_dates(text: Any, form: str) -> Any:
    """Turn text into timestamps, or times of day into seconds after midnight.

    Arguments:
        text: array of pyarrow.
        form: how the dates are written, in the directives of `strptime`; `%d` and `%m` also without leading zeros,
            `%S` also with a fraction, and years of two digits from 1969 to 2068.

    Returns:
        An array of timestamps in microseconds, or of float64 seconds if there is no year in the format; null where the
        text is null, is not written so, or is not a date of the calendar.

    Example:
        >>> parse_dates(pa.array(["29/2/2024", "29/2/2023"]), "%d/%m/%Y").to_pylist()
        [datetime.datetime(2024, 2, 29, 0, 0), None]
        >>> parse_dates(pa.array(["13:45"]), "%H:%M").to_pylist()
        [49500.0]
    """
    text = pc.utf8_lpad(tidy(text), 8, "0") if form in SHORT_DIGITS else tidy(text)
    parts = pc.extract_regex(text, pattern_of(form))
    good = to_numpy(pc.is_valid(parts))
    fields = {field.name: pc.struct_field(parts, field.name) for field in parts.type}
    seconds, clock = _seconds(fields, len(good))
    good &= clock
    if is_time(form):
        return pa.array(seconds, pa.float64(), mask=~good)
    year = _whole(fields, "Y", 1970)
    if "y" in fields:
        year = _century(_whole(fields, "y", 70))
    month = _place(fields["b"], MONTHS) if "b" in fields else _whole(fields, "m", 1)
    if "q" in fields:
        month = 3 * _whole(fields, "q", 1) - 2
    day = _whole(fields, "d", 1)
    good &= (month >= 1) & (month <= 12)
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    good &= (day >= 1) & (day <= (after - first).astype(np.int64))
    whole = first.astype(np.int64) + day - 1
    if "V" in fields:
        of_weeks = _whole(fields, "G", 1970) if "G" in fields else _century(_whole(fields, "g", 70))
        whole, in_year = _days_of_weeks(of_weeks, _whole(fields, "V", 1), _whole(fields, "u", 1))
        good &= in_year
    if "a" in fields:
        # January 1, 1970 was a Thursday.
        good &= _place(fields["a"], WEEKDAYS) == (whole + 3) % 7 + 1
    microseconds = whole * 86_400_000_000 + np.round((seconds - _offset(fields)) * 1e6).astype(np.int64)
    zone = "UTC" if fields.keys() & {"z", "Z"} else None
    return pa.array(np.where(good, microseconds, 0), pa.int64(), mask=~good).cast(pa.timestamp("us", zone))


def write_dates(values: Any, form: str) -> Any:
    """Turn timestamps, dates, or seconds after midnight into text that `parse_dates` reads.

    Example:
        >>> write_dates(pa.array([49500.0, None]), "%H:%M").to_pylist()
        ['13:45', None]
        >>> write_dates(pa.array([0], pa.timestamp("s", "Europe/Berlin")), "%Y-%m-%dT%H:%M%:z").to_pylist()
        ['1970-01-01T01:00+01:00']
    """
    if is_time(form):
        whole = np.round(np.nan_to_num(to_numpy(pc.fill_null(pc.cast(values, pa.float64()), 0.0))) * 1e6)
        if "%S" not in form:
            whole = np.round(whole / 60e6) * 60e6
        whole = np.mod(whole.astype(np.int64), 86_400_000_000)
        values = pa.array(whole, mask=to_numpy(pc.is_null(values))).cast(pa.timestamp("us"))
    zone = values.type.tz if pa.types.is_timestamp(values.type) and values.type.tz != "UTC" else None
    values = pc.cast(values, pa.timestamp("us", zone))
    for unit, name in (("s", "second"), ("ms", "millisecond")):
        if pc.all(pc.equal(values, pc.floor_temporal(values, unit=name))).as_py():
            values = pc.cast(values, pa.timestamp(unit, zone))  # or %S would have more decimals
            break
    parts = [part for part in re.split(r"(%q|%-[dmHIV]|%\^[bB]|%P|%,S|%[-^:]?z|%\^?Z)", form) if part]
    return pc.binary_join_element_wise(*(_written(values, part) for part in parts), "")


def _written(values: Any, part: str) -> Any:
    """Timestamps in a part of a format: one directive that pyarrow lacks, or only others."""
    if part == "%q":
        return pc.cast(pc.quarter(values), pa.string())
    if part in _OFFSETS and values.type.tz:
        return pc.replace_substring_regex(pc.strftime(values, format="%z"), "^(.*)(..)$", _OFFSETS[part])
    if part in _ZERO:
        return pc.if_else(pc.is_null(values), pa.scalar(None, pa.string()), _ZERO[part])
    text = pc.strftime(values, format=PLAIN.get(part, part))
    if part.startswith("%-"):
        return pc.replace_substring_regex(text, "^0", "")
    if part == "%,S":
        return pc.replace_substring(text, ".", ",")
    return pc.utf8_upper(text) if part.startswith("%^") else pc.utf8_lower(text) if part == "%P" else text


def date_formats(texts: Any, form: str | None = None) -> list[str]:
    """Return the formats in which all of some texts are dates or times: none, one, or more that disagree.

    Arguments:
        texts: the different texts of a column, at least one, without nulls.
        form: the format that a user declares, which is taken if all texts have it; default None.

    Example:
        >>> date_formats(pa.array(["02/03/2022", "05/11/2022"])), date_formats(pa.array(["02/03/2022", "25/11/2022"]))
        (['%d/%m/%Y', '%m/%d/%Y'], ['%d/%m/%Y'])
    """
    if form is not None and _fits(texts, form):
        return [form]
    first = str(tidy(texts.slice(0, 1))[0].as_py())
    if not re.search("[0-9]", first):
        return []
    found: list[str] = []
    for candidate in forms_of(first):
        if not all(_fits(part, candidate) for part in (texts.slice(0, 100), texts)):
            continue
        if candidate in QUARTERS_ALONE and len(pc.unique(pc.year(parse_dates(texts, candidate)))) < LEAST_YEARS:
            continue
        if not any(parse_dates(texts, other).equals(parse_dates(texts, candidate)) for other in found):
            found.append(candidate)
    return found


def in_detail(texts: Any, form: str) -> str:
    """Return a format as all of some texts are written in it: numbers without leading zeros, months in capitals, "am".

    Arguments:
        texts: the different texts of a column, without nulls.
        form: how they are read.

    Example:
        >>> in_detail(pa.array(["3/2006", "11/2006"]), "%m/%Y"), in_detail(pa.array(["05-JAN-2006"]), "%d-%b-%Y")
        ('%-m/%Y', '%d-%^b-%Y')
    """
    parts = pc.extract_regex(tidy(texts), pattern_of(form))
    for written, plain in PLAIN.items():
        key = plain[1].lower() if plain in ("%B", "%A") else plain[1]
        if plain in form and _is_written(pc.struct_field(parts, key), written):
            form = form.replace(plain, written)
    return form


_AS_WRITTEN = {"%,S": ",", "%:z": ":", "%-z": "^[+-][0-9]{2}$", "%^z": "^Z$", "%^Z": "^GMT$"}
# Of the moments of UTC, which drawn ones are.
_OFFSETS = {"%z": r"\1\2", "%:z": r"\1:\2", "%-z": r"\1"}
_ZERO = {"%z": "+0000", "%:z": "+00:00", "%-z": "+00", "%^z": "Z", "%Z": "UTC", "%^Z": "GMT"}


def _is_written(texts: Any, written: str) -> bool:
    """Whether parts of texts, such as all days, are written as a directive says."""
    if written in _AS_WRITTEN:
        return bool(pc.all(pc.match_substring_regex(texts, _AS_WRITTEN[written])).as_py())
    if not written.startswith("%-"):
        other = pc.utf8_upper(texts) if written.startswith("%^") else pc.utf8_lower(texts)
        return bool(pc.all(pc.equal(texts, other)).as_py())
    zeros, short = (pc.match_substring_regex(texts, pattern) for pattern in ("^0", "^[0-9]$"))
    return bool(pc.any(short).as_py()) and not pc.any(pc.and_(zeros, pc.invert(short))).as_py()


def not_in_calendar(texts: Any, most: int) -> Any:
    """Return the few texts that are not dates, where all texts are written like dates.

    Arguments:
        texts: the different texts of a column, without nulls.
        most: the largest number of them.

    Example:
        >>> dates = [f"{day:02}.03.2022" for day in range(10, 30)]
        >>> not_in_calendar(pa.array([*dates, "30.02.2022"]), 3).to_pylist()
        ['30.02.2022']
    """
    found = texts.slice(0, 0)
    head = texts.slice(0, 100)
    for form in forms_of(str(texts[0].as_py())):
        if parse_dates(head, form).null_count > most:
            continue
        if pc.all(pc.is_valid(pc.extract_regex(tidy(texts), pattern_of(form)))).as_py():
            bad = texts.filter(pc.is_null(parse_dates(texts, form)))
            if 0 < len(bad) <= most and not 0 < len(found) <= len(bad):
                found = bad
    return found


def are_compact(texts: Any) -> bool:
    """Whether all texts are dates written as eight digits, such as 20240229, of a year from 1900 to 2100.

    Beside ten dates, 0 and the last day of the calendar do not count: they are marks.

    Arguments:
        texts: the different texts of a column, without nulls; a single one does not tell.
    """
    others = texts.filter(pc.invert(pc.is_in(texts, value_set=pa.array(NO_DATES, texts.type))))
    if len(others) == len(texts) or len(others) >= LEAST_BESIDE_MARKS:
        texts = others
    return all(
        len(part) > 1
        and bool(pc.all(pc.match_substring_regex(part, r"^\s*[0-9]{8}\s*$")).as_py())
        and _plausible(parse_dates(part, COMPACT))
        for part in (texts.slice(0, 100), texts)
    )


def _plausible(dates: Any) -> bool:
    """Whether all are dates of our time, beside a mark in the last year of the calendar."""
    if dates.null_count:
        return False
    years = pc.year(dates)
    others = years.filter(pc.not_equal(years, LAST_YEAR))
    if len(others) < max(len(years) - 1, min(len(years), LEAST_BESIDE_MARKS)):
        return False
    low, high = COMPACT_YEARS
    return bool(pc.all(pc.and_(pc.greater_equal(others, low), pc.less_equal(others, high))).as_py())


def _fits(texts: Any, form: str) -> bool:
    dates = parse_dates(texts, form)
    # Two numbers are more often a code than a month.
    return _plausible(dates) if form in NUMBERS_ALONE else dates.null_count == 0


def _whole(fields: dict[str, Any], key: str, default: int) -> np.ndarray:
    """The whole numbers of a field, the default where there are none."""
    if key not in fields:
        return np.array([default])
    found: np.ndarray = to_numpy(pc.fill_null(pc.cast(fields[key], pa.int64()), default))
    return found


def _century(short: np.ndarray) -> np.ndarray:
    """Years of two digits as years from 1969 to 2068."""
    return short + np.where(short < 69, 2000, 1900)


def _days_of_weeks(year: np.ndarray, week: np.ndarray, weekday: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 of weekdays, 1 for Monday, of weeks of ISO 8601, and which of the weeks their years have."""
    fourth = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 3
    # The week of January 4 is the first one; 1970 began on a Thursday.
    monday = fourth - (fourth + 3) % 7 + 7 * (week - 1)
    in_year = (monday + 3).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970 == year
    return monday + weekday - 1, in_year & (week >= 1)


def styles_of(texts: Any, most: int = 3) -> list[tuple[str, int]]:
    """Return the formats of dates that some texts are written in, each with the place of its first text.

    Arguments:
        texts: the different texts of a column, without nulls.
        most: the largest number of formats; default 3.

    Returns:
        Pairs in the order of the texts; an empty list where some text is not a date in one of so many formats.

    Example:
        >>> styles_of(pa.array(["2020-01-05", "17.02.2020", "2021-03-04"]))
        [('%Y-%m-%d', 0), ('%d.%m.%Y', 1)]
    """
    found: list[tuple[str, int]] = []
    left = np.arange(len(texts))
    while len(left) and len(found) < most:
        rest = texts.take(pa.array(left))
        first = str(rest[0].as_py())
        tried = [form for form in forms_of(first) if not is_time(form)]
        others = [to_numpy(pc.is_null(parse_dates(rest, form))) for form in tried]
        if not others or min(part.sum() for part in others) == len(rest):
            return []
        best = min(range(len(others)), key=lambda place: others[place].sum())
        found.append((tried[best], int(left[0])))
        left = left[others[best]]
    return [] if len(left) else found


def _place(text: Any, names: Sequence[str]) -> np.ndarray:
    """The number, from 1, of the month or weekday that a text names in full or by three letters; 0 for none."""
    bare = pc.utf8_lower(pc.replace_substring(text, ".", ""))
    named = {name: place for place, full in enumerate(names, 1) for name in (full, full[:3])} | {"sept": 9}
    place = pc.index_in(bare, value_set=pa.array(list(named), bare.type))
    numbers = np.array([0, *named.values()])
    result: np.ndarray = numbers[to_numpy(pc.fill_null(place, -1)) + 1]
    return result


def _offset(fields: dict[str, Any]) -> Any:
    """Seconds by which times are ahead of UTC."""
    if "Z" in fields:
        place = pc.index_in(fields["Z"], value_set=pa.array(list(ZONES), fields["Z"].type))
        return 3600 * np.array([0, *ZONES.values()])[to_numpy(pc.fill_null(place, -1)) + 1]
    if "z" not in fields:
        return 0
    digits = pc.replace_substring_regex(fields["z"], "[^0-9]", "")
    whole = pc.if_else(pc.equal(digits, ""), "0000", pc.utf8_rpad(digits, 4, "0"))
    number = to_numpy(pc.fill_null(pc.cast(whole, pa.int64()), 0))
    sign = np.where(to_numpy(pc.fill_null(pc.starts_with(fields["z"], "-"), False)), -1, 1)
    return sign * (3600 * (number // 100) + 60 * (number % 100))


def _seconds(fields: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds after midnight, and which of them are times."""
    hour, minute = _whole(fields, "H", 0), _whole(fields, "M", 0)
    second = np.zeros(count)
    if "S" in fields:
        points = pc.replace_substring(fields["S"], ",", ".")
        second = to_numpy(pc.fill_null(pc.cast(points, pa.float64()), 0.0))
    good = (hour < 24) & (minute < 60) & (second < 60)
    if "I" in fields:
        twelve = _whole(fields, "I", 12)
        good = good & (twelve >= 1) & (twelve <= 12)
        afternoon = to_numpy(pc.fill_null(pc.match_substring_regex(fields["p"], "^[Pp]"), False))
        hour = twelve % 12 + 12 * afternoon
    return hour * 3600.0 + minute * 60 + second, np.broadcast_to(good, count)

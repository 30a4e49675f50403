"""Offsets from UTC, such as +01:00, behind date-times in text: the time zone whose clocks they tell."""

import re
import zoneinfo
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.date_patterns import pattern_of
from pushforward.tables.number_format import tidy
from pushforward.tables.numbers import to_numpy

_ISO = r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})$"
# One zone of each rule for summer time that is common; others are looked for by their names.
USUAL = (
    "Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Halifax", "America/Anchorage", "Australia/Sydney", "Pacific/Auckland",
    "America/Sao_Paulo", "America/Santiago", "Asia/Jerusalem", "Europe/Istanbul", "Europe/Moscow",
)  # fmt: skip
_DAY = 2 * 24 * 60  # more minutes than there are offsets
_REGIONS = re.compile("^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/")


def offsets_of(texts: Any, form: str | None = None) -> np.ndarray:
    """Return the minutes by which the clocks behind some texts are ahead of UTC, (n,) int64, 0 where none are written.

    Arguments:
        texts: an array of pyarrow, without nulls.
        form: how they are written, with `%z`; default ISO 8601.

    Example:
        >>> offsets_of(pa.array(["2024-03-30T12:00+01:00", "2024-03-30T12:00Z", "2024-03-30T12:00-0330"]))
        array([  60,    0, -210])
    """
    found = pc.struct_field(pc.extract_regex(tidy(texts), _ISO if form is None else pattern_of(form)), "z")
    different = pc.unique(found)
    minutes = np.array([_minutes(text) for text in different.to_pylist()], dtype=np.int64)
    places: np.ndarray = to_numpy(pc.fill_null(pc.index_in(found, value_set=different), 0))
    return minutes[places]


def zone_of_offsets(ticks: np.ndarray, offsets: np.ndarray) -> str | None:
    """Return the time zone in which the clocks are ahead of UTC by some offsets, None where there is no one zone.

    Arguments:
        ticks: (n,) microseconds since the beginning of 1970, n at least 1.
        offsets: (n,) in minutes.

    Returns:
        "UTC", a fixed offset such as "+05:30", or the name of a zone with summer time.

    Example:
        >>> hours = np.array([0, 24 * 181])
        >>> zone_of_offsets(hours * 3_600_000_000, np.array([-300, -240]))
        'America/New_York'
    """
    first = int(offsets[0])
    if (offsets == first).all():
        sign, (hours, rest) = "-" if first < 0 else "+", divmod(abs(first), 60)
        return f"{sign}{hours:02}:{rest:02}" if first else "UTC"
    # The times around the changes decide, and there are few different hours.
    quarters, minutes = np.divmod(np.unique(ticks // 900_000_000 * _DAY + offsets + _DAY // 2), _DAY)
    moments, minutes = 900 * quarters, minutes - _DAY // 2
    few = slice(None, None, max(1, len(moments) // 100))
    others = sorted(name for name in zoneinfo.available_timezones() if _REGIONS.match(name))
    for zone in (*USUAL, *others):
        if all(np.array_equal(_ahead(moments[part], zone), minutes[part]) for part in (few, slice(None))):
            return zone
    return None


def _ahead(seconds: np.ndarray, zone: str) -> np.ndarray:
    """The minutes by which the clocks of a zone are ahead of UTC."""
    moments = pa.array(seconds, pa.timestamp("s", zone))
    shown = to_numpy(pc.cast(pc.local_timestamp(moments), pa.int64()))
    return np.asarray((shown - seconds) // 60)


def _minutes(text: str | None) -> int:
    if text in (None, "Z", ""):
        return 0
    digits = text.replace(":", "").ljust(5, "0")
    minutes = 60 * int(digits[1:3]) + int(digits[3:5])
    return -minutes if digits[0] == "-" else minutes

"""How dates and times of day are written: the directives, the forms that are tried, and their patterns."""

import functools
import re

COMPACT = "%Y%m%d"
# Days in digits alone that are numbers, whose first digit is not zero; and all dates in digits alone.
SHORT_DIGITS = ("%-d%m%Y", "%-m%d%Y")
DIGITS = (COMPACT, *SHORT_DIGITS, "%d%m%Y", "%m%d%Y")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Hours before UTC, or behind it: RFC 2822, and Europe.
ZONES = {
    "UTC": 0, "GMT": 0, "UT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2,
    "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
_OFFSET = "Z|[+-][0-9]{2}(?::?[0-9]{2})?"
DIRECTIVES = {
    "%Y": "(?P<Y>[0-9]{4})",
    "%y": "(?P<y>[0-9]{2})",
    "%m": "(?P<m>[0-9]{1,2})",
    "%d": "(?P<d>[0-9]{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3,4}\.?)",
    "%B": "(?P<b>[A-Za-z]{3,9})",
    "%H": "(?P<H>[0-9]{1,2})",
    "%I": "(?P<I>[0-9]{1,2})",
    "%M": "(?P<M>[0-9]{2})",
    "%S": r"(?P<S>[0-9]{2}(?:[.,][0-9]{1,9})?)",
    "%p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "%q": "(?P<q>[1-4])",
    "%G": "(?P<G>[0-9]{4})",
    "%g": "(?P<g>[0-9]{2})",
    "%V": "(?P<V>[0-9]{1,2})",
    "%u": "(?P<u>[1-7])",
    "%a": r"(?P<a>[A-Za-z]{3}\.?)",
    "%A": "(?P<a>[A-Za-z]{6,9})",
    "%z": f"(?P<z>{_OFFSET})",
    "%Z": f"(?P<Z>{'|'.join(ZONES)})",
}
# As text is read; in which of them it is written: without leading zeros, in capitals, in small letters, with a comma
# before fractions, offsets as +00:00, +00 and Z, and UTC as GMT.
PLAIN = {"%-d": "%d", "%-m": "%m", "%-H": "%H", "%-I": "%I", "%-V": "%V",
         "%^b": "%b", "%^B": "%B", "%P": "%p", "%,S": "%S",
         "%:z": "%z", "%-z": "%z", "%^z": "%z", "%^Z": "%Z"}  # fmt: skip
_DATES = [
    *(mark.join(order) for mark in "/.-" for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%Y", "%m", "%d"))),
    *(mark.join(order) for mark in "/.-" for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"), ("%y", "%m", "%d"))),
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%d. %b %Y", "%d. %B %Y", "%d-%b-%Y",
    "%d-%b-%y", "%d %b %y", "%Y %b %d", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y", "%b-%y", "%Y-%m", "%Y/%m", "%m/%Y", "%Y:%m",
    "%YM%m", "%Y-%b-%d", "%Y %B %d", "%d/%b/%Y", "%d/%b/%y", "%d%b%Y", "%d%b%y",
    *(f"%Y{gap}{month}" for month in ("%b", "%B") for gap in ("-", " ", "/", "")),
    *(f"{month}{gap}%Y" for month in ("%b", "%B") for gap in ("/", ", ", "")),
]  # fmt: skip
# Numbers from 1 to 4 beside several years may be quarters as well as months.
QUARTERS_ALONE = ("%Y-%q", "%Y/%q", "%q/%Y", "%Y:%q")
NUMBERS_ALONE = ("%Y-%m", "%Y/%m", "%m/%Y", "%Y:%m", *QUARTERS_ALONE)
# Weeks as people name them, before or after their year.
_NAMES_OF_WEEKS = ("W", "w", "KW", "KW ", "CW", "CW ", "WK", "Wk", "wk", "WK ", "Wk ", "wk ", "Week ", "week ", "Week")
_WEEKS = [
    *(f"%G{gap}{week}%V" for week in _NAMES_OF_WEEKS for gap in ("-", "", " ", "/", ", ")),
    *(f"{week}%V{gap}%G" for week in _NAMES_OF_WEEKS for gap in ("/", " ", "-", ", ", ". ")),
    *(f"{week}%V/%g" for week in ("KW", "KW ", "CW", "CW ")),
]
WEEKDAY_IN_DIGITS = "%GW%V%u"
# Quarters, and weeks of ISO 8601, stand for their first days; %q, which Python lacks, is that of a quarter.
_PERIODS = [
    "%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%qQ%Y", "%qQ%y", "%G-W%V-%u", WEEKDAY_IN_DIGITS,
    *_WEEKS, *QUARTERS_ALONE, "FY%YQ%q", "FY%Y Q%q", "FY%Y-Q%q", "Q%q FY%Y", "Q%q-FY%Y",
]  # fmt: skip
_TIMES = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I %p"]
_AFTER_WEEKDAYS = (
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y-%m-%d",
)
_WITH_WEEKDAYS = [f"{day}{gap}{date}" for day in ("%a", "%A") for gap in (", ", " ") for date in _AFTER_WEEKDAYS]
# As ISO 8601 has them without marks, web servers write them, and C does.
_MOMENTS = [
    "%Y%m%dT%H%M", "%Y%m%dT%H%M%S", "%Y%m%d %H%M%S", "%d/%b/%Y:%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%d.%m.%Y, %H:%M",
    "%d.%m.%Y, %H:%M:%S", "%d/%m/%Y, %H:%M:%S", "%m/%d/%Y, %I:%M:%S %p", "%m/%d/%Y, %I:%M %p",
]  # fmt: skip
_ZONE = re.compile(rf"(?P<gap>\s?)(?:(?P<offset>{_OFFSET})|(?P<name>{'|'.join(ZONES)}))$")


def is_time(form: str) -> bool:
    """Whether a format is that of a time of day, without a date."""
    return not re.search("%[YyGg]", form)


def has_clock(form: str) -> bool:
    """Whether a format says a time of day.

    Example:
        >>> has_clock("%-d/%-m/%Y %-H:%M"), has_clock("%d/%m/%Y")
        (True, False)
    """
    return bool(re.search("%-?[HI]", form))


def directives(form: str) -> list[str]:
    """Return the directives of a format, as they are read.

    Example:
        >>> directives("%-d/%-m/%Y")
        ['%d', '%m', '%Y']
    """
    return [PLAIN.get(part, part) for part in re.findall("%[-^:,]?.", form)]


def pattern_of(form: str) -> str:
    """Return the regular expression of a format, with the letters of its directives as the names of groups."""
    parts = [PLAIN.get(part, part) for part in re.split("(%[-^:,]?.)", form)]
    pattern = "".join(
        DIRECTIVES[part] if part in DIRECTIVES else re.escape(part).replace("\\ ", r"\s+") for part in parts
    )
    digits = COMPACT in form or form in (*DIGITS, WEEKDAY_IN_DIGITS)
    return f"^{pattern.replace('{1,2}', '{2}') if digits else pattern}$"


def forms_of(text: str) -> list[str]:
    """Return the formats of dates and times, with zones, that a text may be written in, the usual ones first.

    Example:
        >>> forms_of("02/Mar/2020:23:12:11 +0100"), forms_of("5 Jan 2020")[0]
        (['%d/%b/%Y:%H:%M:%S %z'], '%d %b %Y')
    """
    text = text.strip()
    found = [form for form, pattern in _candidates() if pattern.match(text)]
    zone = _ZONE.search(text)
    if zone is None:
        return found
    bare = text[: zone.start()]
    after = (" " if zone["gap"] else "") + ("%z" if zone["offset"] else "%Z")
    zoned = (form for form, pattern in _candidates() if has_clock(form) and not is_time(form) and pattern.match(bare))
    return found + [form + after for form in zoned]


@functools.cache
def _candidates() -> list[tuple[str, re.Pattern[str]]]:
    """The formats without zones that are tried, and their patterns."""
    both = [f"{date}{gap}{time}" for date in _DATES for gap in (" ", "T") for time in _TIMES]
    both += [f"{date} {time}" for date in _WITH_WEEKDAYS for time in _TIMES]
    every = (*_DATES, *_WITH_WEEKDAYS, *both, *_MOMENTS, *_TIMES, *_PERIODS)
    return [(form, re.compile(pattern_of(form))) for form in every]

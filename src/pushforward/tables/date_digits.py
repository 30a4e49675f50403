"""Dates as digits alone that begin with the day or the month: 31122019, 12312019, and 5122019 without its zero."""

from typing import Any

from pushforward.tables.arrow import pc
from pushforward.tables.date_format import COMPACT_YEARS, parse_dates
from pushforward.tables.date_patterns import SHORT_DIGITS

ORDERS = ("%d%m%Y", "%m%d%Y")
_EIGHT, _SEVEN_OR_EIGHT = "^[0-9]{8}$", "^[1-9][0-9]{6,7}$"
# So many different numbers of seven or eight digits are no such dates by chance.
LEAST_DIFFERENT = 10


def digit_formats(texts: Any, form: str | None = None) -> list[str]:
    """Return the formats in which all texts are days of the years 1900 to 2100: none, one, or two that disagree.

    Arguments:
        texts: the different texts of a column, without nulls and spaces around them.
        form: the format that a user declares, which is taken if all texts have it; default None.

    Example:
        >>> import pyarrow as pa
        >>> digit_formats(pa.array(["31122019", "05062020"])), digit_formats(pa.array(["01022019", "05062020"]))
        (['%d%m%Y'], ['%d%m%Y', '%m%d%Y'])
    """
    for pattern, orders, least in (
        (_EIGHT, ORDERS, 2),
        (_SEVEN_OR_EIGHT, SHORT_DIGITS, LEAST_DIFFERENT),
    ):
        parts = texts.slice(0, 100), texts
        if len(texts) >= least and all(pc.all(pc.match_substring_regex(part, pattern)).as_py() for part in parts):
            found = [order for order in orders if all(_are_days(part, order) for part in parts)]
            return [order for order in found if order.replace("%-", "%") == form] or found
    return []


def _are_days(texts: Any, form: str) -> bool:
    dates = parse_dates(texts, form)
    ends = pc.min_max(pc.year(dates)).as_py()
    return dates.null_count == 0 and COMPACT_YEARS[0] <= ends["min"] and ends["max"] <= COMPACT_YEARS[1]

"""How the text of a CSV writes plain numbers and date-times, which need no format to be read: 2.50, 2024-02-29T13:05Z.

A style is kept beside the format of a column: draws and filled gaps are written so where they become text again.
"""

from typing import Any

from pushforward.tables.arrow import pa, pc
from pushforward.tables.columns.text_format import Format
from pushforward.tables.columns.values import PLAIN_NUMBER, Values, match_all
from pushforward.tables.number_format import NumberFormat, in_detail

# Date-times in ISO 8601 as they are written without a style: dates alone, or as pyarrow writes timestamps.
_DEFAULT = "%Y-%m-%d %H:%M:%S"
_STYLES = {
    rf"^[0-9-]{{10}}{gap}[0-9]{{2}}:[0-9]{{2}}{pattern}{offset}$": f"%Y-%m-%d{gap}%H:%M{seconds}{zone}"
    for gap in (" ", "T")
    for seconds, pattern in (("", ""), (":%S", r":[0-9]{2}(?:\.[0-9]+)?"))
    for zone, offset in (("", ""), ("Z", "Z"), ("%:z", "[+-][0-9]{2}:[0-9]{2}"), ("%z", "[+-][0-9]{4}"))
}


def style_of(values: Values, kind: Any) -> Format | None:
    """Return how all values of a column of text are written, None for plainly and for other text.

    Arguments:
        values: of the column, which has no format.
        kind: the type of pyarrow of its draws.

    Example:
        >>> style_of(Values(pa.array(["2.50", "12.00"]), "x", "t.csv"), pa.float64()).decimals
        2
        >>> style_of(Values(pa.array(["2024-02-29T13:05"]), "x", "t.csv"), pa.timestamp("s"))
        '%Y-%m-%dT%H:%M'
    """
    if not values.is_text:
        return None
    texts = pc.unique(pc.utf8_trim_whitespace(values.column.drop_null()))
    if not len(texts):
        return None
    if pa.types.is_timestamp(kind):
        found = [style for pattern, style in _STYLES.items() if match_all(texts, pattern)]
        return found[0] if found and found[0] != _DEFAULT else None
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)) or not match_all(texts, PLAIN_NUMBER):
        return None
    style = in_detail(texts, NumberFormat())
    return None if style == NumberFormat() else style

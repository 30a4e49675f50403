"""Whether a comma or a point stands between thousands or before decimals, as far as the numbers of a column tell."""

from typing import Any

from pushforward.tables.arrow import pc

# Whole numbers below 1000, and numbers with one point and three digits behind it, without a zero before it.
_THREE_DIGITS = r"^(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3})?)$"
_LIKE_THREE_DIGITS = r"^\s*[+-]?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3})?)\s*$"
_NEGATIVE = "^[^0-9]*[(-]"


def may_have_thousands(texts: Any) -> bool:
    """Whether plain numbers, all of a column, are whole ones below 1000 beside ones with a point before three digits.

    Arguments:
        texts: an array of pyarrow.
    """
    column = MayHaveThousands()
    column.see(texts)
    return column.found


class MayHaveThousands:
    """Whether plain numbers, seen part by part, all are as `may_have_thousands` says.

    Example:
        >>> from pushforward.tables.arrow import pa
        >>> column = MayHaveThousands()
        >>> for part in (["491", "12"], ["1.490"]):
        ...     column.see(pa.array(part))
        >>> column.found
        True
    """

    def __init__(self) -> None:
        self._like, self._with, self._without = True, False, False

    def see(self, texts: Any) -> None:
        """Take some more of the numbers, an array of pyarrow."""
        if self._like and len(texts):
            self._like = all(_match_all(part, _LIKE_THREE_DIGITS) for part in (texts.slice(0, 100), texts))
            points = pc.match_substring(texts, ".")
            self._with = self._with or bool(pc.any(points).as_py())
            self._without = self._without or not pc.all(points, min_count=0).as_py()

    @property
    def found(self) -> bool:
        """Whether they are."""
        return self._like and self._with and self._without


def points_are_thousands(texts: Any, *, currency: bool) -> bool | None:
    """Whether points stand between thousands, and not before decimals; None where the numbers do not tell.

    Who writes decimals always writes three of them, or leaves out zeros at the end. So whole numbers beside ones that
    end in a zero after the point have no decimals, if numbers of hundreds are among them.

    Arguments:
        texts: the different texts of a column that all are numbers, perhaps in dress, with a hyphen for minus.
        currency: whether they are amounts of money, which rarely have three decimals.

    Example:
        >>> from pushforward.tables.arrow import pa
        >>> points_are_thousands(pa.array(["491", "1.490", "12.345"]), currency=False)
        True
        >>> points_are_thousands(pa.array(["491", "1.669"]), currency=False) is None
        True
        >>> points_are_thousands(pa.array(["0.491", "1.490"]), currency=True)
        False
    """
    digits = pc.extract_regex(texts, "(?P<digits>[0-9][0-9.,]*)").field("digits")
    if not _match_all(digits, _THREE_DIGITS):
        return False
    points = pc.match_substring(digits, ".")
    pointed = digits.filter(points)
    negative = pc.match_substring_regex(texts, _NEGATIVE)
    if not pc.any(pc.and_(points, negative)).as_py():
        # A mark such as -999 among positive numbers says nothing of them.
        digits, points = digits.filter(pc.invert(negative)), points.filter(pc.invert(negative))
    whole = digits.filter(pc.invert(points))
    if not len(pointed) or not len(whole):
        return None if currency and len(pointed) > 1 else False
    zeros, hundreds = pc.ends_with(pointed, "0"), pc.greater(pc.utf8_length(whole), 2)
    return True if pc.any(zeros).as_py() and pc.any(hundreds).as_py() else None


def commas_are_thousands(texts: Any) -> bool | None:
    """Whether commas stand between thousands, and not before decimals; None where the numbers do not tell.

    Arguments:
        texts: the different texts of a column, numbers that can be read in both ways.

    Example:
        >>> from pushforward.tables.arrow import pa
        >>> commas_are_thousands(pa.array(["1,230", "612"])), commas_are_thousands(pa.array(["1,234", "612"])) is None
        (True, True)
    """
    commas = pc.match_substring(texts, ",")
    if not pc.any(commas).as_py():
        return True
    # Who writes decimals always writes three of them, or leaves out zeros at the end: no text without a comma goes
    # with one that ends in a zero after it.
    without = not pc.all(commas).as_py()
    zero = pc.any(pc.match_substring_regex(texts.filter(commas), r",[0-9]{2}0[^0-9]*$")).as_py()
    return True if without and zero else None


def _match_all(texts: Any, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())

"""The values of one column as the kinds of columns look at them."""

from functools import cached_property
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.checks import leave_out
from pushforward.tables.columns.tally import MOST_NUMERIC_LEVELS, ROWS_OF_LEVEL, Tally
from pushforward.tables.missing import TYPED, Mark, Marks, is_text, plain
from pushforward.tables.numbers import BadValue, numbers, to_numpy
from pushforward.tables.types import readable

# If more than this share of a text column is numbers, the column is one of numbers and the rest are mistakes.
MOSTLY_NUMBERS = 0.5
# The code of a value of the right type to which its column gives probability 0.
UNSEEN = np.inf
PLAIN_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
WHOLE_NUMBER = r"^\s*[+-]?[0-9]+\s*$"
# A number that others are below or above, or near: "<0.5", ">= 100", "~3", "5+".
LIMIT = rf"^(([<>≤≥~≈]|<=|>=)\s*{PLAIN_NUMBER.strip('^$')}|[0-9.]+\s*\+)$"
_DIGITS, _LEADING_ZERO = r"^\s*[0-9]+\s*$", r"^\s*0[0-9]"
# float64 tells all whole numbers of 15 digits apart; longer ones in most rows are identifiers.
LONG_CODE = 16
_TELEPHONE, _AROUND_E = r"^\s*\+[0-9]{8,15}\s*$", r"^\s*[0-9]+[eE][0-9]+\s*$"
_PADDED_EXPONENT, _UNUSUAL_EXPONENT, _BEFORE_EXPONENT = "[eE]0[0-9]", "[eE](?:[3-9][0-9]|[0-9]{3})", "^.*[eE]"
# Few versions, of which the second numbers take up most of those from 1, or end with 10: nobody pads 1.1 alone.
_VERSION, MOST_VERSIONS, SHARE_OF_VERSIONS = r"^\s*[0-9]+\.(?:0|[1-9][0-9]*)\s*$", 100, 0.6
INFINITE = r"^\s*[+-]?inf(inity)?\s*$"


class Values:
    """One column of some rows, what it holds, and how a message calls it; each answer is found when first asked for.

    Arguments:
        column: array of pyarrow.
        name: the column's name.
        source: what messages call the table.
        first_row: the number of the first row in the whole table, counted from 1; default 1.
        marks: what stands for a missing value; default null and NaN alone.
        strict: whether a value of the right type to which the column gives probability 0 is refused, which is the
            default, or marked in `unseen`.

    Attributes:
        unseen: (n,) True for values that are marked.

    Example:
        >>> values = Values(pa.array(["1", "?", "3"]), "x", "stars.csv", marks=Marks(listed=("?",)))
        >>> values.is_numeric, values.numbers, values.observed
        (True, array([ 1., nan,  3.]), array([1., 3.]))
    """

    def __init__(
        self, column: Any, name: str, source: str, first_row: int = 1, marks: Marks = TYPED, strict: bool = True
    ) -> None:
        self._column, self.marks, self.strict = column, marks, strict
        self.unseen = np.zeros(len(column), dtype=bool)
        self.name, self.source, self.first_row = name, source, first_row
        self.what = f'column "{name}" of {source}'
        self.times_of_day = False

    def __len__(self) -> int:
        return len(self._column)

    @cached_property
    def column(self) -> Any:
        """The values as pyarrow has them, without categorical encoding and with nulls for what is missing."""
        return plain(readable(self._column, self.what, leave_out(self.source)), self.marks)

    @property
    def type(self) -> Any:
        """Their type in pyarrow."""
        return self.column.type

    @cached_property
    def missing(self) -> int:
        """How many are missing."""
        count = self.column.null_count
        if pa.types.is_floating(self.type):
            count += int(pc.sum(pc.is_nan(self.column)).as_py() or 0)
        return int(count)

    @property
    def present(self) -> np.ndarray:
        """(n,) which are not missing."""
        there = pc.is_valid(self.column)
        if pa.types.is_floating(self.type):
            there = pc.and_(there, pc.fill_null(pc.invert(pc.is_nan(self.column)), False))
        return to_numpy(there)

    @property
    def is_text(self) -> bool:
        """Whether they are text."""
        return is_text(self.column)

    @property
    def is_dates(self) -> bool:
        """Whether they are dates or timestamps by their type."""
        return bool(pa.types.is_date(self.type) or pa.types.is_timestamp(self.type))

    @cached_property
    def is_numeric(self) -> bool:
        """Whether they are to be read as numbers: neither booleans nor dates, nor text of codes or of other things.

        Raises:
            InputError: most of a column of text is numbers, and some is not.
        """
        if not self.is_text:
            return not (pa.types.is_boolean(self.type) or self.is_dates)
        if are_identifiers(self.column):
            return False
        number = self.plain_numbers
        infinite = pc.fill_null(pc.match_substring_regex(pc.utf8_lower(self.column), INFINITE), False)
        number = pc.or_(number, infinite)
        share = pc.mean(pc.cast(number.filter(pc.is_valid(self.column)), pa.float64())).as_py() or 0.0
        if share < MOSTLY_NUMBERS or self.has_open_end:
            return False
        _ = self.numbers  # which refuses the first that is not a number
        return True

    @cached_property
    def has_open_end(self) -> bool:
        """Whether they are few whole numbers and limits, such as 0, 1, 2 and "3+": these are levels."""
        texts = pc.unique(self.column.drop_null())
        if len(texts) > MOST_NUMERIC_LEVELS or len(self) < ROWS_OF_LEVEL * len(texts):
            return False
        limits = pc.match_substring_regex(texts, LIMIT)
        return bool(pc.any(limits).as_py()) and match_all(texts.filter(pc.invert(limits)), WHOLE_NUMBER)

    @property
    def categories(self) -> list[str]:
        """The different texts that the type of the column has, whether rows have them or not; none of plain types."""
        if not pa.types.is_dictionary(self._column.type) or not self.is_text:
            return []
        column = self._column
        parts = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        different = (
            pa.concat_arrays([pc.unique(part.dictionary) for part in parts]) if parts else pa.array([], "string")
        )
        return list(plain(pc.unique(different), self.marks).drop_null().to_pylist())

    @cached_property
    def plain_numbers(self) -> Any:
        """(n,) whether each text is a number as Python writes it, or missing."""
        return pc.fill_null(pc.match_substring_regex(self.column, PLAIN_NUMBER), True)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(n,) float64, NaN where a value is missing.

        Raises:
            InputError: a value is not a finite number.
        """
        return numbers(self.column, self.name, self.source, self.first_row)

    @cached_property
    def observed(self) -> np.ndarray:
        """The numbers that are not missing."""
        return self.numbers[~np.isnan(self.numbers)]

    @cached_property
    def tally(self) -> Tally:
        """How many rows have each of the different numbers."""
        return Tally(self.observed)

    def replaced(self, column: Any, *, times_of_day: bool = False) -> "Values":
        """The same rows with other values, an array of pyarrow, which may be times of day in seconds."""
        other = type(self)(column, self.name, self.source, self.first_row, self.marks, self.strict)
        other.times_of_day = times_of_day
        return other

    def unused_marks(self) -> list[Mark]:
        """The marks that a user lists, and that no value is."""
        return self.marks.unused(plain(readable(self._column, self.what, leave_out(self.source))))

    def first(self) -> Any:
        """The first value that is not missing."""
        return self.column.drop_null()[0].as_py()

    def refuse(self, bad: np.ndarray, problem: str, remedy: str = "") -> None:
        """Refuse numbers to which the column gives probability 0, or mark them as unseen.

        Arguments:
            bad: (n,) booleans.
            problem: what is wrong, such as "which is not positive".
            remedy: what to do; default to correct it or to fit with another schema.

        Raises:
            BadValue: some value is bad, and the values are strict.
        """
        if self.strict and bad.any():
            place = int(bad.argmax())
            raise self.bad_value(place, f"{self.numbers[place]:.12g}", problem, remedy)
        self.unseen |= bad

    def refuse_outside(self, low: float, high: float) -> None:
        """Refuse numbers below or above a bound, or mark them as unseen."""
        self.refuse(self.numbers < low, f"below its bound {low:g}")
        self.refuse(self.numbers > high, f"above its bound {high:g}")

    def bad_value(self, place: int, shown: str, problem: str, remedy: str = "") -> BadValue:
        """The error about one value.

        Arguments:
            place: its position, counted from 0.
            shown: the value as a message shows it.
            problem: what is wrong with it.
            remedy: what to do; default to correct it or to fit with another schema.
        """
        row = self.first_row + place
        remedy = remedy or "correct it, or fit with a schema that allows it"
        return BadValue(row, f"{self.what} holds {shown} in row {row}, {problem}; {remedy}.")


def match_all(texts: Any, pattern: str) -> bool:
    """Whether every text that is not null has a pattern."""
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def are_identifiers(texts: Any) -> bool:
    """Whether texts are identifiers made of digits: some with leading zeros, or most too long for a number.

    Digits alone, that is: a decimal point anywhere makes them numbers. So are telephone numbers, digits around an E
    without a sign or point, as in 3E05, and versions.
    """
    present = texts.drop_null()
    if _are_codes(present) or _are_versions(present):
        return True
    if not all(match_all(part, _DIGITS) for part in (present.slice(0, 100), present)):
        return False
    if pc.any(pc.match_substring_regex(present, _LEADING_ZERO)).as_py():
        return True
    long = pc.greater_equal(pc.utf8_length(pc.utf8_trim_whitespace(present)), LONG_CODE)
    return bool((pc.mean(pc.cast(long, pa.float64())).as_py() or 0.0) > MOSTLY_NUMBERS)


def _are_codes(texts: Any) -> bool:
    """Whether texts all are telephone numbers, or digits around an E of which some are no usual exponent.

    A leading zero is not usual, nor are exponents of 30 and more that differ: 1e300 and 2e300 are large numbers.
    """
    head = texts.slice(0, 100)
    if len(head) and all(match_all(part, _TELEPHONE) for part in (head, texts)):
        return True
    if not len(head) or not all(match_all(part, _AROUND_E) for part in (head, texts)):
        return False
    if pc.any(pc.match_substring_regex(texts, _PADDED_EXPONENT)).as_py():
        return True
    exponents = pc.unique(pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), _BEFORE_EXPONENT, ""))
    return len(exponents) > 1 and bool(pc.any(pc.match_substring_regex(texts, _UNUSUAL_EXPONENT)).as_py())


def _are_versions(texts: Any) -> bool:
    """Whether few different texts are numbers of versions, such as 1.1 and 1.10, which are two."""
    if len(pc.unique(texts.slice(0, 1000))) > MOST_VERSIONS or not match_all(texts.slice(0, 100), _VERSION):
        return False
    different = pc.unique(texts)
    if len(different) > MOST_VERSIONS or not match_all(different, _VERSION):
        return False
    parts = [text.strip().split(".") for text in different.to_pylist()]
    minor = {int(part) for _, part in parts}
    equal = len({float(".".join(part)) for part in parts}) < len(parts)
    return equal and (max(minor) == 10 or len(minor) >= SHARE_OF_VERSIONS * max(minor))

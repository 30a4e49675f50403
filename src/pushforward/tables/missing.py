"""Missing values: the one list of words that stand for them in a CSV, and what a user says instead."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.raw_text import has_only

# In a CSV, in lower case and without spaces around it. Strings of other tables are what they are.
MISSING_TEXT = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none")
# No word of the list has only these.
_OF_NUMBERS = b"0123456789.+-eE"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

_MOMENT = re.compile("^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|$)")
_DAY = 86_400
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Mark = int | float | str


@dataclass(frozen=True)
class Marks:
    """What stands for a missing value in a column, beside null and NaN.

    Attributes:
        written: whether text comes from a CSV, where empty cells are missing, and so are the words of the list.
        listed: what a user says, in place of the list: text without the spaces around it, or numbers.
        levels: values that are never missing, because they are levels of the column.

    Example:
        >>> column = pa.array(["f", " NA ", "?", ""])
        >>> Marks(written=True).applied(column).to_pylist(), Marks(listed=("?",)).applied(column).to_pylist()
        (['f', None, '?', None], ['f', ' NA ', None, ''])
    """

    written: bool = False
    listed: tuple[Mark, ...] | None = None
    levels: tuple[Any, ...] = ()

    def applied(self, column: Any) -> Any:
        """Return a column of pyarrow, without categorical encoding, with nulls for missing values."""
        missing = self._missing_text(column) if is_text(column) else self._missing_values(column)
        if missing is None or not pc.any(missing).as_py():
            return column
        return pc.if_else(pc.fill_null(missing, False), pa.scalar(None, column.type), column)

    def _missing_text(self, column: Any) -> Any:
        if not self.written and not self.listed:
            return None
        if self.listed is None and not self.levels and has_only(column, _OF_NUMBERS):
            return pc.equal(column, "")
        bare = composed(pc.utf8_trim_whitespace(column))
        if self.listed is None:
            missing = pc.is_in(pc.utf8_lower(bare), value_set=pa.array(MISSING_TEXT, column.type))
        else:
            words = [normal(str(mark)) for mark in self.listed] + ([""] if self.written else [])
            missing = pc.is_in(bare, value_set=pa.array(words, column.type))
            if self._numbers:
                digits = pc.if_else(pc.match_substring_regex(bare, _NUMBER), bare, pa.scalar(None, column.type))
                missing = pc.or_(missing, _equal(pc.cast(digits, pa.float64()), self._numbers))
            if moments := self._moments("us"):
                missing = pc.or_(missing, _are_moments(bare, moments))
        texts = [normal(level) for level in self.levels if isinstance(level, str)]
        return pc.and_not(missing, pc.is_in(bare, value_set=pa.array(texts, column.type))) if texts else missing

    def _missing_values(self, column: Any) -> Any:
        """Which numbers and dates are marks."""
        kind = column.type
        if pa.types.is_floating(kind) and self._numbers:
            # In the precision of the column: -999.9 is another number in float32.
            return pc.is_in(column, value_set=pc.cast(pa.array(self._numbers, pa.float64()), kind, safe=False))
        if (pa.types.is_integer(kind) or pa.types.is_decimal(kind)) and self._numbers:
            return _equal(pc.cast(column, pa.float64(), safe=False), self._numbers)
        if pa.types.is_date(kind) and (days := [tick // _DAY for tick in self._moments("s") if tick % _DAY == 0]):
            return pc.is_in(pc.cast(column, pa.date32()), value_set=pa.array(days, pa.int32()).cast(pa.date32()))
        if pa.types.is_timestamp(kind) and (ticks := self._moments(kind.unit)):
            return pc.is_in(pc.cast(column, pa.int64()), value_set=pa.array(ticks, pa.int64()))
        if (pa.types.is_duration(kind) or pa.types.is_time(kind)) and self._numbers:
            whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
            seconds = pc.divide(pc.cast(pc.cast(column, whole), pa.float64()), float(_PER_SECOND[kind.unit]))
            return _equal(seconds, self._numbers)
        return None

    def _moments(self, unit: str) -> list[int]:
        """The marks that are date-times, as ticks of a unit; those without a zone are in UTC."""
        return [tick for mark in self.listed or () if (tick := _tick(mark, unit)) is not None]

    def unused(self, column: Any) -> list[Mark]:
        """Return the listed marks that no value of a column is.

        Example:
            >>> Marks(listed=("?", -999)).unused(pa.array(["1", "?"]))
            [-999]
        """
        return [
            mark for mark in self.listed or () if plain(column, Marks(listed=(mark,))).null_count == column.null_count
        ]

    @property
    def _numbers(self) -> list[float]:
        found = [_as_number(mark) for mark in self.listed or ()]
        return [number for number in found if not math.isnan(number) and number not in self.levels]


TYPED, WRITTEN = Marks(), Marks(written=True)


def normal(text: str) -> str:
    """Return a text in the form in which it is compared: without spaces around it, and composed (NFC)."""
    return unicodedata.normalize("NFC", text.strip())


def composed(column: Any) -> Any:
    """Return a column of text in the composed form of Unicode (NFC).

    Example:
        >>> composed(pa.array(["e\u0301", None])).to_pylist() == ["\u00e9", None]
        True
    """
    if pc.all(pc.string_is_ascii(column), min_count=0).as_py():
        return column
    different = pc.unique(column)
    found = [None if text is None else unicodedata.normalize("NFC", text) for text in different.to_pylist()]
    return pa.array(found, column.type).take(pc.index_in(column, value_set=different))


def is_text(column: Any) -> bool:
    """Whether a column of pyarrow holds text."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def plain(column: Any, marks: Marks = TYPED) -> Any:
    """Return a column of pyarrow without categorical encoding, and with nulls where a mark stands for a missing value.

    Example:
        >>> plain(pa.array(["f", " NA ", "None", ""]).dictionary_encode(), WRITTEN).to_pylist()
        ['f', None, None, None]
    """
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    return marks.applied(column)


def blank_rows(table: Any, marks: Mapping[str, Marks]) -> np.ndarray:
    """Return which rows have no value in any of some columns, (n,) booleans.

    Arguments:
        table: a table or batch of pyarrow.
        marks: {column: what stands for a missing value in it}.

    Example:
        >>> table = pa.table({"a": ["1", "", "NA"], "b": ["x", " ", "y"]})
        >>> blank_rows(table, {"a": WRITTEN, "b": WRITTEN})
        array([False,  True, False])
    """
    blank = np.full(table.num_rows, bool(marks))
    for name, known in marks.items():
        if not blank.any():
            break
        column = table.column(name)
        try:
            column = plain(column, known)
            empty = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
        except pa.ArrowException:  # a type that is refused by name later
            empty = pc.is_null(column)
        blank &= np.asarray(empty)
    return blank


def _equal(numbers: Any, marks: Sequence[float]) -> Any:
    return pc.is_in(numbers, value_set=pa.array(marks, pa.float64()))


def _as_number(mark: Mark) -> float:
    """A mark as a number, NaN if it is none."""
    try:
        return float(mark)
    except (ValueError, OverflowError):
        return math.nan


def _tick(mark: Mark, unit: str) -> int | None:
    """A mark as a moment, None if it is none."""
    if not _MOMENT.match(str(mark).strip()):
        return None
    for zone in (None, "UTC"):
        try:
            return int(pc.cast(pa.array([str(mark).strip()]), pa.timestamp(unit, zone))[0].value)
        except (pa.ArrowException, ValueError, OverflowError):
            continue
    return None


def _are_moments(texts: Any, ticks: Sequence[int]) -> Any:
    """Which texts are some moments in ISO 8601, with or without a zone."""
    # A zone may put them into the next year.
    years = {1970 + int(tick // (365.2425 * _DAY * 10**6)) + beside for tick in ticks for beside in (-1, 0, 1)}
    near = "|".join(f"{year:04d}" for year in sorted(years) if 0 <= year <= 9999)
    different = pc.unique(texts.filter(pc.match_substring_regex(texts, f"^(?:{near})-[0-9]{{2}}-")))
    found = [text for text in different.to_pylist() if _tick(text, "us") in ticks]
    return pc.is_in(texts, value_set=pa.array(found, texts.type))

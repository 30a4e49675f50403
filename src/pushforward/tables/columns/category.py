"""One of some levels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.support.wording import shortest
from pushforward.tables.arrow import pa, pc
from pushforward.tables.checks import leave_out
from pushforward.tables.columns.atoms import remark_of_marks
from pushforward.tables.columns.base import Column, Share, smoothed
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.dress import examples_of_numbers
from pushforward.tables.columns.leveled import MOST_DECLARED, Leveled
from pushforward.tables.columns.levels import (
    Level,
    arrow_type_of,
    is_number,
    positions,
    same,
    short,
    widened,
)
from pushforward.tables.columns.outermost import LEAST_ROWS, far_levels, may_be_marks
from pushforward.tables.columns.scattered import MOST_LEVELS
from pushforward.tables.columns.values import Values
from pushforward.tables.missing import is_text
from pushforward.tables.numbers import LARGEST_EXACT

# Texts are names of rows, and not levels, if there are more than MOST_LEVELS, or more than this many of which most
# rows have their own.
LEVELS_OF_ANY_TABLE = 50
# Numbers of at least so many different values, which take up this share of an equally spaced grid, are measurements.
LEAST_OF_GRID, SHARE_OF_GRID = 10, 0.5
# A level is far from others that are at least so many.
LEVELS_BESIDE = 3


class Category(Leveled):
    """One of some levels: text, booleans, or numbers that are names.

    The code of a value is the position of its level.

    Attributes:
        levels: all of one type; inferred if None, the most frequent first (numbers by size).
        frequencies: of the levels, smoothed; inferred.
    """

    kind: Literal["category"] = "category"
    levels: Annotated[list[Level], Field(min_length=1, max_length=MOST_DECLARED)] | None = None
    frequencies: list[Share] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Category":
        if self.levels is not None:
            if len({(is_number(level), isinstance(level, bool)) for level in self.levels}) > 1:
                raise ValueError("levels must be all text, all numbers or all booleans")
            _refuse_equal(self.levels)
        if self.frequencies is not None and len(self.frequencies) != len(self.levels or ()):
            raise ValueError("there must be one frequency for each level")
        return self

    @property
    def own_levels(self) -> Sequence[Level]:
        """The levels."""
        return self.levels or ()

    @property
    def level_count(self) -> int:
        """How many levels there are."""
        return len(self.levels or ())

    @property
    def numeric(self) -> bool:
        """Whether the levels are numbers."""
        return bool(self.levels) and is_number(self.levels[0])  # type: ignore[index]

    @property
    def kept_as_text(self) -> bool | None:
        """False if the levels are numbers."""
        return False if self.numeric else None

    def as_condition(self) -> Column:
        """A continuous column, if the levels are numbers."""
        return Continuous(**self.reading, heavy=False) if self.numeric else self

    def describe(self) -> str:
        """The kind and its levels."""
        if self.levels is None:
            return "category"
        shown = ", ".join(short(level) for level in self.levels[:4])
        return f"category, {len(self.levels)} levels: {shown}{', …' if len(self.levels) > 4 else ''}"

    @property
    def remark(self) -> str | None:
        """That a level far from all others is likely a mark of missing values."""
        if not self.numeric:
            return super().remark
        levels = np.sort(np.array(self.levels, dtype=float))
        far = far_levels(levels, np.full(len(levels), LEAST_ROWS), LEVELS_BESIDE)
        if len(far) and self.frequencies is not None:
            share = dict(zip(map(float, self.levels or ()), self.frequencies, strict=True))
            shares = np.array([share[level] for level in far.tolist()])
            far = far[may_be_marks(far, shares, levels[~np.isin(levels, far)])]
        steps = np.diff(levels[~np.isin(levels, far)])
        # Prices of a menu lie far apart, too.
        if not len(far) or SHARE_OF_GRID * (steps.sum() / steps.min() + 1) > len(steps) + 1:
            return super().remark
        return "; ".join(filter(None, [super().remark, remark_of_marks([shortest(level) for level in far])]))

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Booleans, text, few different numbers, and scattered ones."""
        if not values.is_numeric:
            column = cls().complete(values)
            _refuse_numbers(column.levels or [], values)
            return column
        few = values.tally.few and not values.tally.far_counts and not _on_grid(values)
        if not (few or values.tally.scattered):
            return None
        different, counts = values.tally.different, values.tally.counts
        if pa.types.is_floating(values.type) and values.type != pa.float64():
            different = np.array([widened(number) for number in different.tolist()])
        different = different + 0.0
        whole = bool((different == np.floor(different)).all()) and np.abs(different).max() < LARGEST_EXACT
        levels = (different.astype(np.int64) if whole else different + 0.0).tolist()
        return cls(levels=levels, frequencies=smoothed(counts))

    def complete(self, values: Values) -> Self:
        """Find the levels and their frequencies."""
        found = _counts(values)
        if self.levels is None:
            found = found | dict.fromkeys(_unused(found, values), 0)
        levels = self.levels or _levels(found, values)
        like = levels[0]
        rows: Counter = Counter()
        for level, count in found.items():
            rows[_key(level, like)] += count
        counts = np.array([rows[_key(level, like)] for level in levels])
        return type(self)(levels=levels, frequencies=smoothed(counts))

    @property
    def arrow_type(self) -> Any:
        """That of the levels."""
        return arrow_type_of(self.levels[0] if self.levels else None)

    def encode(self, values: Values) -> np.ndarray:
        """The positions of the levels."""
        return positions(values, self.levels or [])

    def decode(self, codes: np.ndarray) -> Any:
        """The levels."""
        present = ~np.isnan(codes)
        places = pa.array(np.where(present, codes, 0).astype(np.int64), mask=~present)
        return pa.array(self.levels, self.arrow_type).take(places)


def _on_grid(values: Values) -> bool:
    """Whether few different numbers are measurements that were rounded."""
    different, _ = values.tally.rest
    if len(different) < LEAST_OF_GRID or values.tally.cells is None:
        return False
    return len(different) >= SHARE_OF_GRID * ((different[-1] - different[0]) / values.tally.cells.step + 1)


def _counts(values: Values) -> dict[Any, int]:
    """How many rows have each value."""
    column = values.column.drop_null()
    if pa.types.is_floating(column.type):
        column = pc.add(column.filter(pc.is_finite(column)), pa.scalar(0.0, column.type))
    found = {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}
    if pa.types.is_floating(column.type):
        single = column.type != pa.float64()
        return Counter({(widened(number) if single else number) + 0.0: count for number, count in found.items()})
    if not is_text(column):
        return found
    # Once for each different text: there may be many rows.
    merged: Counter = Counter()
    for text, count in found.items():
        merged[same(text)] += count
    lower = {str(text).lower() for text in merged}
    if lower <= {"true", "false"} and len(merged) > len(lower):
        return Counter({word == "true": sum(n for text, n in merged.items() if text.lower() == word) for word in lower})
    return merged


def _unused(found: dict[Any, int], values: Values) -> list[Any]:
    """Categories that the type of a column has, and no row; more than there are levels are left of a larger table."""
    unused = [level for level in map(same, values.categories) if level not in found] if values.is_text else []
    return unused if len(unused) <= len(found) else []


def _levels(found: dict[Any, int], values: Values) -> list[Level]:
    """Numbers by size, other levels by frequency."""
    if not all(isinstance(level, bool | int | float | str) for level in found):
        raise InputError(
            f"{values.what} is of type {values.type}, which cannot be levels of a category (text, booleans or "
            f"numbers); declare another kind, or {leave_out(values.source)}."
        )
    rows = sum(found.values())
    if len(found) > MOST_LEVELS or (len(found) > LEVELS_OF_ANY_TABLE and len(found) > rows / 2):
        alike = _like_numbers(found)
        reason = f"{_WRITTEN}, or" if alike else "they look like names of rows;"
        raise InputError(
            f"{values.what} has {len(found):,} different texts in {rows:,} rows, too many for levels of a category"
            f"{alike}: {reason} {leave_out(values.source)}."
        )
    if all(is_number(level) for level in found):
        return sorted(found)
    return sorted(found, key=lambda level: (-found[level], str(level)))


def _key(level: Any, like: Level) -> Any:
    """A level as it compares with declared ones: numbers by value, whatever they are written as."""
    if isinstance(like, bool):
        return str(level).lower()
    if isinstance(like, str):
        return same(str(level))
    try:
        return float(level)
    except (TypeError, ValueError):
        return level


def _refuse_equal(levels: Sequence[Level]) -> None:
    """Refuse levels that are equal, however they are written."""
    known: dict[Any, Level] = {}
    for level in levels:
        if same(level) in known:
            raise ValueError(f"the levels {known[same(level)]!r} and {level!r} are equal; name one of them")
        known[same(level)] = level


def _refuse_numbers(levels: Sequence[Level], values: Values) -> None:
    """Refuse many levels that look like numbers or dates: as levels they would have no order.

    Codes of digits alone are text on purpose.
    """
    alike = _like_numbers(levels) if len(levels) > LEVELS_OF_ANY_TABLE else ""
    if alike:
        raise InputError(
            f"{values.what} has {len(levels):,} different texts{alike}: {_WRITTEN}, "
            f'declare "category" in a schema if they are names, or {leave_out(values.source)}.'
        )


_WRITTEN = (
    "they look like numbers or dates, but not all are written in one known way; write plain numbers or dates such as "
    "2024-02-29"
)


def _like_numbers(levels: Iterable[Any]) -> str:
    """In words, examples of levels if most look like numbers or dates; nothing otherwise."""
    examples = examples_of_numbers(pa.array([str(level) for level in levels]))
    shown = " and ".join(f'"{shortened(text, 20)}"' for text in examples)
    return f", most of them such as {shown}" if examples else ""

"""Columns of text in a data frame as numbers: the positions of their levels."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from pushforward.errors import InputError
from pushforward.estimator.cells import is_gap

# A column of more texts than this, of which most rows have their own, is one of names of rows.
MOST_OF_ANY_FRAME = 50
UNKNOWN = -1.0
TEXT: tuple[Any, ...] = (nw.String, nw.Categorical, nw.Enum, nw.Object)


class TextLevels:
    """The levels of the columns of text that a data frame has, each with its place among the columns.

    A column of text of which every value reads as a number is one of numbers, as it is for scikit-learn.

    Arguments:
        values: the rows of a fit. Without columns of text, or in anything but a data frame, there are no levels.

    Attributes:
        levels: {column name: its texts, sorted}.
        by_place: {place of the column: the same texts}.

    Raises:
        InputError: most rows have a text of their own, from which nothing can be learned.

    Example:
        >>> import pandas as pd
        >>> levels = TextLevels(pd.DataFrame({"city": ["Rome", None, "Bern"], "size": [1.0, 2.0, 3.0]}))
        >>> levels.levels
        {'city': ['Bern', 'Rome']}
        >>> levels(pd.DataFrame({"city": ["Bern", None, "Oslo"], "size": [1.0, 2.0, 3.0]}))["city"].tolist()
        [0.0, nan, -1.0]
    """

    def __init__(self, values: Any) -> None:
        self.levels: dict[str, list[str]] = {}
        self.by_place: dict[int, list[str]] = {}
        frame = _frame(values)
        if frame is None:
            return
        for place, name in enumerate(frame.columns):
            texts = _texts(frame, name) if frame.get_column(name).dtype in TEXT else None
            if texts is None or all(_is_number(text) for text in set(texts) - {None}):
                continue
            found = sorted({text for text in texts if text is not None})
            if len(found) > MOST_OF_ANY_FRAME and len(found) > 0.5 * len(texts):
                raise InputError(
                    f'column "{name}" of X holds {len(found):,} different texts in {len(texts):,} rows, from which '
                    "nothing can be learned: leave the column out."
                )
            self.levels[name] = self.by_place[place] = found

    def __call__(self, values: Any) -> Any:
        """A data frame whose columns of text hold the positions of their levels, NaN where a text is missing.

        Whatever is none of the levels is -1. Anything but a data frame is left as it is.
        """
        frame = _frame(values) if self.levels else None
        if frame is None:
            return values
        columns = []
        for name, levels in self.levels.items():
            if name not in frame.columns:
                continue  # for scikit-learn to say
            position = {text: float(place) for place, text in enumerate(levels)}
            cells = _cells(frame, name)
            codes = [np.nan if cell is None else position.get(cell, UNKNOWN) for cell in cells]
            columns.append(nw.new_series(name, codes, nw.Float64(), backend=frame.implementation))
        index = nw.maybe_get_index(frame)
        columns = [column if index is None else nw.maybe_set_index(column, index=index) for column in columns]
        return frame.with_columns(*columns).to_native() if columns else values


def _frame(values: Any) -> nw.DataFrame[Any] | None:
    """A data frame, but for one whose columns share a name, which is refused elsewhere."""
    try:
        frame = nw.from_native(values, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        return None
    return frame if isinstance(frame, nw.DataFrame) else None


def _texts(frame: nw.DataFrame[Any], name: str) -> list[str | None] | None:
    """The texts of a column, None where one is missing; None if the column holds something else as well."""
    cells = _cells(frame, name)
    return cells if all(cell is None or isinstance(cell, str) for cell in cells) else None


def _cells(frame: nw.DataFrame[Any], name: str) -> list[Any]:
    """The cells of a column, None where one is missing."""
    return [None if is_gap(cell) or cell != cell else cell for cell in frame.get_column(name).to_list()]


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

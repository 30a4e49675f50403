"""The same value in every row."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.detection import LARGEST_INTEGER
from pushforward.tables.columns.levels import Level, arrow_type_of, is_number, positions, same, same_text, short
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue


class Constant(Column):
    """The same value in every row: its probability is 1, and it is written into draws.

    The code of the value is 0.

    Attributes:
        value: inferred if None.
    """

    kind: Literal["constant"] = "constant"
    value: Level | None = None

    @property
    def modeled(self) -> bool:
        """False."""
        return False

    @property
    def own_levels(self) -> Sequence[Level]:
        """The value."""
        return () if self.value is None else (self.value,)

    @property
    def numeric(self) -> bool:
        """Whether the value is a number."""
        return self.value is not None and is_number(self.value)

    @property
    def kept_as_text(self) -> bool | None:
        """False if the value is a number."""
        return False if self.numeric else None

    def describe(self) -> str:
        """The kind and the value."""
        return "constant" if self.value is None else f"constant, {short(self.value)}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """One value in every row that has one."""
        if not values.is_numeric:
            column = values.column.drop_null()
            different = pc.unique(same_text(column) if values.is_text else column)
            return (
                cls(value=same(values.first()) if values.is_text else values.first()) if len(different) == 1 else None
            )
        low, high = float(values.observed.min()), float(values.observed.max())
        if low != high:
            return None
        return cls(value=int(low) if low.is_integer() and abs(low) < LARGEST_INTEGER else low)

    def complete(self, values: Values) -> Self:
        """Take the first value."""
        return self if self.value is not None else type(self)(value=values.first())

    @property
    def arrow_type(self) -> Any:
        """That of the value."""
        return arrow_type_of(self.value)

    def encode(self, values: Values) -> np.ndarray:
        """0."""
        assert self.value is not None
        try:
            return positions(values, [self.value])
        except BadValue as bad:
            raise BadValue(
                bad.row,
                f"{values.what} is {self.value} in every row that the model was fitted to, and something else in row "
                f"{bad.row}: its probability is 0 there; correct that row, or leave it out.",
            ) from None

    def decode(self, codes: np.ndarray) -> Any:
        """The value in every row."""
        return pa.array([self.value] * len(codes), self.arrow_type)

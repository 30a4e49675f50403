"""No value in any row."""

from typing import Any, Literal, Self

import numpy as np

from pushforward.tables.arrow import pa
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue


class AllMissing(Column):
    """No value in any row: it is empty in draws, and a value in it was never seen."""

    kind: Literal["all-missing"] = "all-missing"

    @property
    def modeled(self) -> bool:
        """False."""
        return False

    @property
    def numeric(self) -> bool:
        """False."""
        return False

    @property
    def strict(self) -> bool:
        """Whether no training row has a value."""
        return self.missing_share == 1

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """No value at all."""
        return cls() if values.missing == len(values) else None

    def declared_for(self, values: Values) -> Self:
        """The column as it was declared, whatever it holds."""
        return self

    @property
    def arrow_type(self) -> Any:
        """The type of nulls."""
        return pa.null()

    def encode(self, values: Values) -> np.ndarray:
        """Missing; a value is refused or marked as unseen, unless the column is declared to be none."""
        codes = np.full(len(values), np.nan)
        present = values.present if self.strict else np.zeros(len(values), dtype=bool)
        if values.strict and present.any():
            row = values.first_row + int(present.argmax())
            raise BadValue(
                row,
                f"{values.what} has no value in any row that the model was fitted to, and one in row {row}: its "
                "probability is 0 there; remove it, or leave the column out.",
            )
        values.unseen |= present
        return codes

    def decode(self, codes: np.ndarray) -> Any:
        """Nulls."""
        return pa.nulls(len(codes))

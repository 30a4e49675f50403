"""No value in any row."""

from typing import Any, Literal, Self

import numpy as np

from pushforward.tables.arrow import pa
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.values import Values


class AllMissing(Column):
    """No value in any row: the column is not read, and it is empty in draws."""

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
        """False."""
        return False

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
        """Missing."""
        return np.full(len(values), np.nan)

    def decode(self, codes: np.ndarray) -> Any:
        """Nulls."""
        return pa.nulls(len(codes))

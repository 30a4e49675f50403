"""The part that each column of a table plays in a model: modeled, given, or a measurement error."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from pushforward.table_models.shown_context import ShownContext
from pushforward.tables import Schema, decode, encode
from pushforward.tables.checks import ReadByModel
from pushforward.tables.columns.kinds import Continuous
from pushforward.tables.columns.values import UNSEEN


@dataclass(frozen=True, eq=False)
class ColumnRoles:
    """Which columns a density is over, which it is given, and where they are in a matrix of codes.

    A matrix of codes has a column for each of `names`: first the modeled columns, then the given ones, then the
    measurement errors.

    Attributes:
        columns: the modeled columns.
        given: the columns that are conditioned on.
        errors: {column: column of its measurement errors}.
        schema: what each column is; one that it does not name is continuous.
        allows_gaps: whether values may be missing; the given columns are then features of the density, not its context.
        gap_values: {column of the context: the code that a flow is shown, beside a flag, where its value is missing};
            in others values may not be missing.
        coded: whether a flow is shown the codes of its context as they are, as by earlier versions.

    Example:
        >>> roles = ColumnRoles(["mass"], ["age"], {}, {})
        >>> roles.names, roles.features, roles.context
        (['mass', 'age'], ['mass'], ['age'])
    """

    columns: Sequence[str]
    given: Sequence[str]
    errors: dict[str, str]
    schema: Schema
    allows_gaps: bool = False
    gap_values: Mapping[str, float] = field(default_factory=dict)
    coded: bool = False

    def __post_init__(self) -> None:
        """Complete the schema."""
        schema = {name: self.schema.get(name, Continuous(heavy=False)) for name in self.names}
        object.__setattr__(self, "schema", schema)

    @property
    def names(self) -> list[str]:
        """The modeled columns, the given ones, and the measurement errors: those of a matrix of codes."""
        return [*self.columns, *self.given, *self.errors.values()]

    @property
    def modeled(self) -> list[str]:
        """The modeled columns that vary."""
        return self._varying(self.columns)

    @property
    def features(self) -> list[str]:
        """The features of the density: the modeled columns that vary, with the given ones if it allows gaps."""
        return [*self.modeled, *self._varying(self.given)] if self.allows_gaps else self.modeled

    @property
    def context(self) -> list[str]:
        """The context of the density: the given columns that vary, unless they are features."""
        return [] if self.allows_gaps else self._varying(self.given)

    @property
    def conditioned(self) -> list[str]:
        """The given columns that vary."""
        return self._varying(self.given)

    @property
    def shown_context(self) -> ShownContext:
        """What a flow is shown of codes of the context."""
        gap_values = [self.gap_values.get(name) for name in self.context]
        return ShownContext([self.schema[name] for name in self.context], gap_values, self.coded)

    @property
    def needed(self) -> list[str]:
        """The columns of the context whose values must be known."""
        return [name for name in self.context if name not in self.gap_values]

    @property
    def with_errors(self) -> list[int]:
        """Which features have measurement errors."""
        return [self.features.index(name) for name in self.errors]

    @property
    def plain(self) -> bool:
        """Whether all features have densities, of values that were not rounded."""
        kinds = [self.schema[name] for name in self.features]
        return not any(kind.has_probabilities or kind.recorded is not None for kind in kinds)

    def numeric(self, names: Sequence[str]) -> list[str]:
        """Those of some columns that are read as numbers."""
        return [name for name in names if self.schema[name].parsed_early]

    def inputs(self, codes: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the density takes of codes, (n, names): the features and their errors, and the context or None."""
        features = [*self.features, *self.errors.values()]
        context = codes[:, self._places(self.context)] if self.context else None
        return codes[:, self._places(features)], context

    def conditions(self, given: Tensor) -> Tensor | None:
        """What a draw is conditioned on, of codes of the given columns, (n, given); None if none of them varies."""
        places = [self.given.index(name) for name in self.conditioned]
        return given[:, places] if places else None

    def encode(
        self,
        table: pa.Table | pa.RecordBatch,
        names: Sequence[str],
        source: str,
        first_row: int = 1,
        *,
        strict: bool | Collection[str] = False,
        written: bool = False,
    ) -> np.ndarray:
        """The codes of some columns of a table, (n, names), `UNSEEN` for values that the model has never seen.

        Arguments:
            table: some rows.
            names: the columns.
            source: what an error calls the table.
            first_row: the number of the first row, for errors.
            strict: the columns of which such values are refused instead, or whether all are; default none.
            written: whether text comes from a CSV, where some words stand for missing values; default False.

        Raises:
            InputError: a column is missing, or a value is not of its column's kind; the first such row is named.
        """
        gaps = self.allows_gaps or self.gap_values.keys()
        options: dict[str, Any] = {"gaps": gaps, "strict": strict, "written": written}
        return encode(table, self.schema, names, source=ReadByModel(source), first_row=first_row, **options)

    def known(self, codes: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The codes of some columns without conditions that were never seen, which are not known then.

        A given column that is constant does not enter the density, and neither does one that is missing in a density
        that allows gaps; a flow is shown a gap where it knows them. Others cannot be evaluated there, and the code
        stays `UNSEEN`.
        """
        forgotten = [place for place, name in enumerate(names) if name in self.given and name not in self.needed]
        codes = np.array(codes, dtype=np.float64)
        codes[:, forgotten] = np.where(codes[:, forgotten] == UNSEEN, np.nan, codes[:, forgotten])
        return codes

    def decode(self, codes: np.ndarray, names: Sequence[str], *, as_text: bool = False) -> Any:
        """The table that codes of some columns, (n, names), stand for; `as_text` for a CSV."""
        return decode(codes, self.schema, names, as_text=as_text)

    def _varying(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.schema[name].modeled]

    def _places(self, names: Sequence[str]) -> list[int]:
        place = {name: index for index, name in enumerate(self.names)}
        return [place[name] for name in names]

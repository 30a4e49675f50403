"""Absent features drawn given those that are present, for the explanations of shapiq."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.integrations.requirement import requires
from pushforward.table_models.arbitrary_conditional import required_density
from pushforward.table_models.model import TableModel

with requires("shapiq", "shapiq"):
    from shapiq.imputer.base import Imputer


class FlowImputer(Imputer):
    """A conditional imputer: the value of a coalition is E f(x) over absent features given those that are present.

    Arguments:
        model: f, a function of rows, (n, D), that returns (n,) numbers, or what shapiq made of a model.
        density: the model of a table of the D features, which are numbers, made by
            `pushforward.fit_table(..., arbitrary_conditions=True)`.
        x: (D,) or (1, D), the row that is explained; `fit` sets it later.
        sample_size: draws for each coalition, default 100.
        random_state: of the draws.

    Attributes:
        empty_prediction: E f(x) over all rows.

    Raises:
        InputError: a density that is not one of any columns given any others, or has given columns or columns of text;
            a model that does not give one number for each row; no draws; from `fit` and a call, another number of
            features.

    Cost: sample_size draws and values of f for each coalition.

    Source: observational Shapley values, Aas, Jullum and Løland 2021, arXiv:1903.10464; shapiq, Muschalik et al. 2024.

    Example:
        >>> import pushforward as pf
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> density = pf.fit_table(rows, arbitrary_conditions=True, max_steps=20).model
        >>> imputer = FlowImputer(lambda x: x.sum(1), density, x=rows[0], random_state=0)
        >>> imputer(np.array([[True, False, True]])).shape
        (1,)
    """

    def __init__(
        self,
        model: Any,
        density: TableModel,
        x: np.ndarray | None = None,
        *,
        sample_size: int = 100,
        random_state: int | None = None,
    ):
        self._density = required_density(density)
        if density.given:
            raise InputError(
                f'Any feature may be absent; the density is given "{density.given[0]}": fit it without given columns.'
            )
        texts = [name for name in density.modeled if not density.schema[name].numeric]
        if texts:
            raise InputError(
                f'shapiq explains rows of numbers; the column "{texts[0]}" of the density is not of numbers.'
            )
        if not isinstance(sample_size, int | np.integer) or sample_size < 1:
            raise InputError(
                f"sample_size is the number of draws for each coalition, at least 1; it is {sample_size!r}."
            )
        self._table_model = density
        features = len(density.modeled)
        super().__init__(model, np.zeros((1, features)), x, sample_size=sample_size, random_state=random_state)
        nothing = np.full((10 * sample_size, features), np.nan)
        self.empty_prediction = float(np.mean(self._predicted(nothing)))
        self.normalization_value = self.empty_prediction

    def fit(self, x: np.ndarray) -> FlowImputer:
        """Set the row that is explained, (D,) or (1, D)."""
        row = np.asarray(x, dtype=np.float64)
        if row.shape not in ((self.n_features,), (1, self.n_features)):
            raise InputError(f"Expected a row of shape ({self.n_features},), got {row.shape}.")
        return super().fit(row)

    def value_function(self, coalitions: np.ndarray) -> np.ndarray:
        """The value of each coalition, (n,), of coalitions, (n, D) booleans, True where a feature is present."""
        if coalitions.ndim != 2 or coalitions.shape[1] != self.n_features:
            raise InputError(f"Expected coalitions of shape (n, {self.n_features}), got {coalitions.shape}.")
        rows = np.where(coalitions, self.x, np.nan).repeat(self.sample_size, axis=0)
        values = self._predicted(rows).reshape(len(coalitions), -1).mean(1)
        return self.insert_empty_value(values, coalitions)

    def _predicted(self, rows: np.ndarray) -> np.ndarray:
        """f of rows, (n, D), whose NaN are drawn, (n,)."""
        values = np.asarray(self.predict(self._drawn(rows)), dtype=np.float64)
        if values.shape != (len(rows),):
            raise InputError(f"The model must give one number for each row, ({len(rows)},); it gave {values.shape}.")
        return values

    def _drawn(self, rows: np.ndarray) -> np.ndarray:
        """Rows, (n, D), whose NaN are drawn given the rest; what is present stays exactly as it is."""
        names, roles = self._table_model.modeled, self._table_model.roles
        table = pa.table({name: pa.array(column, from_pandas=True) for name, column in zip(names, rows.T, strict=True)})
        codes = torch.from_numpy(roles.encode(table, names, "x"))
        generator = torch.Generator().manual_seed(int(self._rng.integers(2**31)))
        drawn = roles.decode(self._density.fill(codes, generator).numpy(), names)
        whole = np.stack([drawn.column(name).to_numpy(zero_copy_only=False) for name in names], 1)
        return np.where(np.isnan(rows), whole.astype(np.float64), rows)

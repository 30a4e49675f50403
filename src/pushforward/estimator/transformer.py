"""Latent features of rows as a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from pushforward.errors import InputError
from pushforward.estimator.base import FlowEstimator
from pushforward.estimator.cells import readable
from pushforward.estimator.rows import FLOATS, map_rows


class FlowTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, FlowEstimator):
    """Latent features z = f⁻¹(X), independent and standard normal as far as the flow has learned p(X).

    The map is invertible: `inverse_transform` takes latent features back to rows. Rows in float64 are mapped in double
    precision, rows in float32 in the precision of the flow's networks and come out as float32. The latent feature of a
    column that is constant in the rows that are trained on is the difference from that constant, 0 for its value. All
    columns are taken for continuous numbers, and `kinds` declares no others: a flag, a count, an atom or a rounded
    number stands for a whole interval of the latent line, of which no single point is its latent feature. A warning
    names columns that repeat values.

    Arguments:
        {options}

    Attributes:
        flow_: the fitted `Flow` of the columns that vary, in the units of X.
        history_: the course of the training.
        n_features_in_: D, as many as there are latent features.
        feature_names_in_: (D,) names of the columns, where X had any.

    Cost: `transform` one inverse of the flow's bijection, `inverse_transform` one forward.

    Example:
        >>> X = np.random.default_rng(0).lognormal(size=(200, 2))
        >>> transformer = FlowTransformer(max_steps=20, random_state=0).fit(X)
        >>> Z = transformer.transform(X)
        >>> np.allclose(transformer.inverse_transform(Z), X)
        True
        >>> transformer.get_feature_names_out()
        array(['flowtransformer0', 'flowtransformer1'], dtype=object)
    """

    _needs_invertible_map = True

    def fit(self, X: Any, y: Any = None) -> FlowTransformer:
        """Fit the flow.

        Arguments:
            X: (n, D) finite numbers, an array or a data frame, n at least 4.
            y: ignored.

        Returns:
            Itself.

        Raises:
            InputError: no column varies in the rows that are trained on, or an option that is not allowed.
            TrainingError: training met too many numbers that are not finite.
        """
        self._fit_rows(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The latent features z of rows, (n, D) of (n, D)."""
        check_is_fitted(self)
        rows = self._checked(X)
        flow = self._evaluated_by(rows.dtype)
        latent = map_rows(lambda x: flow.to_latent(x.double()), flow, self._columns.of(rows))
        features: np.ndarray = rows - self._columns.constants.astype(rows.dtype)
        features[:, self._columns.places] = latent
        return features

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The rows, (n, D), of latent features X, (n, D)."""
        check_is_fitted(self)
        latent = check_array(readable(X), dtype=FLOATS)
        if latent.shape[1] != self.n_features_in_:
            raise InputError(f"X has {latent.shape[1]} latent features, but the flow has {self.n_features_in_}.")
        flow = self._evaluated_by(latent.dtype)
        rows: np.ndarray = latent + self._columns.constants.astype(latent.dtype)
        rows[:, self._columns.places] = map_rows(flow.to_data, flow, self._columns.of(latent))
        return rows

    @property
    def _n_features_out(self) -> int:
        return int(self.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

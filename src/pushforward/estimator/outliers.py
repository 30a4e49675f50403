"""Outliers as rows of low density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from pushforward.errors import InputError
from pushforward.estimator.base import FlowEstimator
from pushforward.support.arguments import is_number


@dataclass(eq=False, repr=False, kw_only=True)
class FlowOutlierDetector(OutlierMixin, FlowEstimator):
    """Outliers: the rows whose log p(X), learned by a normalizing flow, is lowest.

    decision_function(X) = score_samples(X) - offset_, and a row is an outlier where that is negative. The densities of
    the rows that were fitted are somewhat higher than those of new rows: of new rows, a larger share than
    `contamination` lies below the offset. A row is an outlier too where a column that was constant in the rows that are
    trained on has another value, or a column of flags, counts or grades one that was never seen: its log p(X) is -inf.

    Arguments:
        {options}
        contamination: share of outliers among the rows that are fitted, above 0 and at most 0.5, default 0.1.

    Attributes:
        offset_: the log-density, in nats, below which a row is an outlier.
        flow_: the fitted `Flow` of the columns that vary, in the units of X; of columns with probabilities, that of
            their points on the line.
        history_: the course of the training.
        n_features_in_: D.
        feature_names_in_: (D,) names of the columns, where X had any.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 2))
        >>> detector = FlowOutlierDetector(contamination=0.05, max_steps=20, random_state=0).fit(X)
        >>> int((detector.predict(X) == -1).sum()), detector.predict([[9.0, 9.0]])
        (10, array([-1]))
    """

    contamination: float = 0.1

    def fit(self, X: Any, y: Any = None) -> FlowOutlierDetector:
        """Fit the density, and the offset to the share of outliers.

        Arguments:
            X: (n, D) finite numbers, an array or a data frame, n at least 4.
            y: ignored.

        Returns:
            Itself.

        Raises:
            InputError: no column varies in the rows that are trained on, or an option that is not allowed.
            TrainingError: training met too many numbers that are not finite.
        """
        if not is_number(self.contamination) or not 0 < self.contamination <= 0.5:
            raise InputError(f"contamination must be above 0 and at most 0.5; it is {self.contamination!r}.")
        rows = self._fit_rows(X)
        log_prob = self._log_prob(rows, precision=rows.dtype)
        finite = np.isfinite(log_prob)
        if finite.all():
            self.offset_ = float(np.quantile(log_prob, self.contamination))
        else:  # which has no number between -inf and another
            lowest = np.quantile(log_prob, self.contamination, method="higher")
            self.offset_ = float(max(lowest, log_prob[finite].min()))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p of each row in nats, (n,): the lower, the more of an outlier."""
        return self._score_rows(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """score_samples(X) - offset_, (n,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for outliers, 1 for all others, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

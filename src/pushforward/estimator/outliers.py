"""Outliers as rows that are improbable, or unlike all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from pushforward.errors import InputError
from pushforward.estimator.base import FlowEstimator
from pushforward.estimator.fitted_density import FittedDensity
from pushforward.estimator.outlier_scores import SCORES
from pushforward.support.arguments import is_number
from pushforward.support.suggestions import nearest
from pushforward.table_models.calibration import Calibration


@dataclass(eq=False, repr=False, kw_only=True)
class FlowOutlierDetector(OutlierMixin, FlowEstimator):
    """Outliers: rows that are improbable under a normalizing flow, or far from all rows of the fit.

    decision_function(X) = score_samples(X) - offset_, and a row is an outlier where that is negative. The scores of
    the rows that were fitted are somewhat higher than those of new rows: of new rows, a larger share than
    `contamination` lies below the offset; p_values(X) are calibrated on held-out rows. A row is an outlier too where a
    column that was constant in the rows that are trained on has another value, or a column of flags, counts or grades
    one that was never seen: its log p(X) is -inf.

    Arguments:
        {options}
        contamination: share of outliers among the rows that are fitted, above 0 and at most 0.5, default 0.1.
        criterion: what is low for outliers. "combined" (default) is the log-density and the distance to the nearest row
            of the fit, each in units of the held-out rows; the others are in nats or units of their own:
            "log_density", log p(x); "latent_norm", -|z|; "typicality", -|log p(x) - its median|, for rows that are too
            probable as well; "density_ratio", log p(x) - Σ log p(x[d]), for rows whose columns contradict each other;
            "largest_conditional", the most surprising value given the others, at 200 times the cost of log p for each
            column; "smoothed", log E p(x + noise); "nearest_rows", -log of the distance to the nearest row, scaled by
            those around it.

    Attributes:
        offset_: the score below which a row is an outlier.
        calibration_: the scores of the held-out rows, by which p-values are ranked.
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
        >>> detector.p_values([[9.0, 9.0]]).round(3)  # 1 / (1 + 20 held-out rows)
        array([0.048])
    """

    contamination: float = 0.1
    criterion: str = "combined"

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
        if self.criterion not in SCORES:
            raise InputError(
                f"There is no score {self.criterion!r}; {nearest(str(self.criterion), SCORES, most=len(SCORES))}"
            )
        fit = self._fit_rows(X)
        density = self._density(fit.rows.dtype)
        self._score = SCORES[self.criterion](density, fit)
        score = self._score.of(density, fit.rows, fitted=True)
        self.calibration_ = Calibration.of(score[fit.held_out])
        finite = np.isfinite(score)
        if finite.all():
            self.offset_ = float(np.quantile(score, self.contamination))
        else:  # which has no number between -inf and another
            lowest = np.quantile(score, self.contamination, method="higher")
            self.offset_ = float(max(lowest, score[finite].min()))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """The score of each row, (n,): the lower, the more of an outlier."""
        check_is_fitted(self)
        rows = self._checked(X)
        return self._score.of(self._density(rows.dtype), rows)

    def p_values(self, X: Any) -> np.ndarray:
        """The conformal p-value of each row, (n,): the smaller, the more of an outlier.

        Of new rows like those of the fit, a share of at most α has a p-value of at most α, however good the fit and
        whatever the score. It is (1 + the number of held-out rows with no higher score) / (1 + held-out rows).
        """
        return self.calibration_.p_values(self.score_samples(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """score_samples(X) - offset_, (n,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for outliers, 1 for all others, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _density(self, dtype: np.dtype) -> FittedDensity:
        def log_prob(rows: np.ndarray) -> np.ndarray:
            return self._log_prob(rows, precision=dtype)

        return FittedDensity(self.flow_, self._kinds, self._columns, log_prob, dtype)

"""A flow as a detector of PyOD."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pushforward.estimator import FlowOutlierDetector
from pushforward.integrations.requirement import requires

with requires("pyod", "pyod"):
    from pyod.models.base import BaseDetector


class FlowDetector(BaseDetector):
    """`pushforward.FlowOutlierDetector` with the methods and attributes of PyOD: high scores are outliers.

    Scores are finite, which PyOD's combinations of detectors need: a row of probability zero has one that is as far
    above the highest of the fit as that is above the lowest.

    Arguments:
        contamination: share of outliers among the rows that are fitted, above 0 and at most 0.5, default 0.1.
        criterion: what is low for outliers, as for `FlowOutlierDetector`, default "combined".
        flow: a named architecture; default chosen from the data and the time.
        max_time: most seconds of training; default until it stops gaining.
        max_steps: most steps of training.
        random_state: of the fit.

    Attributes:
        detector_: the fitted `FlowOutlierDetector`, with calibrated p-values.
        decision_scores_: (n,) of the rows of the fit.
        threshold_: the score above which a row is an outlier.
        labels_: (n,) 1 for outliers of the rows of the fit, 0 for the others.

    Raises:
        InputError: from `fit`, as by `FlowOutlierDetector.fit`.

    Cost: that of `FlowOutlierDetector`.

    Source: PyOD, Zhao, Nasrullah and Li 2019, arXiv:1901.01588.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 2))
        >>> detector = FlowDetector(contamination=0.05, max_steps=20, random_state=0).fit(X)
        >>> int(detector.labels_.sum()), detector.predict([[9.0, 9.0]])
        (10, array([1]))
    """

    def __init__(
        self,
        contamination: float = 0.1,
        criterion: str = "combined",
        flow: str | None = None,
        max_time: float | None = None,
        max_steps: int | None = None,
        random_state: Any = None,
    ):
        super().__init__(contamination=contamination)
        self.criterion = criterion
        self.flow = flow
        self.max_time = max_time
        self.max_steps = max_steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> FlowDetector:
        """Fit the density of X, (n, D); y is ignored."""
        self.detector_ = FlowOutlierDetector(**self.get_params()).fit(X)
        self._set_n_classes(y)
        scores = -self.detector_.score_samples(X)
        finite = scores[np.isfinite(scores)]
        self._impossible = 2 * finite.max() - finite.min()
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The score of each row, (n,): the higher, the more of an outlier."""
        check_is_fitted(self, "detector_")
        scores = -self.detector_.score_samples(X)
        return np.where(np.isposinf(scores), self._impossible, scores)

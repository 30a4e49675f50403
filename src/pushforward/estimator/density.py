"""A density of rows as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from pushforward.estimator.base import FlowEstimator, seeded_draws
from pushforward.estimator.rows import mean_by_weight


class FlowDensity(DensityMixin, FlowEstimator):
    """p(X), learned by a normalizing flow, as a scikit-learn estimator.

    Columns are made nearly normal inside the flow, and log p(X) is in the units of X. Columns of flags, counts and
    grades have probabilities: log p(X) is the log of the density of the others times the probability of these, and
    draws have their values. Rows in float64 are evaluated in double precision, so that a row's result does not depend
    on the other rows; rows in float32 in the precision of the flow's networks, several times as fast. A column that is
    constant in the rows that are trained on has no density and is not part of the flow: its value has probability 1,
    any other log p(X) = -inf, and draws have it.

    Of up to 2,000 rows without weights, where neither an architecture nor the number of steps is named, the density is
    a stack: five flows, each with other rows held out, Gaussians, mixtures of Gaussians and kernel estimates, weighted
    by the likelihood of rows that they have not seen. `history_` says what they weigh.

    Arguments:
        {options}

    Attributes:
        flow_: the fitted `Flow` of the columns that vary, in the units of X, or of few rows a `FlowMixture` of such
            flows and of simple densities; `pushforward.save` writes it. Where columns have probabilities, heavy tails
            or a recorded step, it is that of their points on the line.
        history_: the course of the training.
        n_features_in_: D.
        feature_names_in_: (D,) names of the columns, where X had any.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 2))
        >>> density = FlowDensity(max_steps=20, random_state=0).fit(X)
        >>> density.score_samples(X).shape, density.sample(3).shape
        ((200,), (3, 2))
    """

    _is_stacked = True

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> FlowDensity:
        """Fit the density.

        Arguments:
            X: (n, D) finite numbers, an array or a data frame, n at least 4.
            y: ignored.
            sample_weight: (n,) weights from 0 on, by which rows count in the split, the quantiles, the loss and the
                held-out value; rows of weight 0 are left out. Default all alike.

        Returns:
            Itself.

        Raises:
            InputError: no column varies in the rows that are trained on, or an option that is not allowed.
            TrainingError: training met too many numbers that are not finite.
        """
        self._fit_rows(X, sample_weight)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p of each row in nats, (n,); cost as the flow's log_prob.

        Of columns with probabilities these are log-probabilities; of rounded numbers, log P(cell) - log(step). It is
        -inf where a value was never seen in such a column or lies outside the bounds of another, where a column that
        was constant in the fit has another value, and for a row so far from the data that even float64 has no number
        for it.
        """
        return self._score_rows(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean of log p over the rows, by their weights if they have any, in nats per row; y is ignored."""
        return mean_by_weight(self.score_samples(X), sample_weight)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw rows from the density.

        Arguments:
            n_samples: number of rows.
            random_state: makes the draws repeat: a number or a `numpy.random.RandomState`.

        Returns:
            (n_samples, D), float64.
        """
        check_is_fitted(self)
        with seeded_draws(random_state, self.flow_):
            draws = self.flow_.sample((n_samples,)).double().cpu().numpy()
        return self._columns.whole(self._kinds.decode(draws))

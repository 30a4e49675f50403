"""A density of targets given rows as an estimator."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data
from torch import Tensor

from pushforward.errors import InputError
from pushforward.estimator.base import seeded_draws
from pushforward.estimator.cells import check_finite, readable, readable_targets
from pushforward.estimator.forecasting import Forecasting, probabilities_of
from pushforward.estimator.predictive_points import DRAWS, POINTS
from pushforward.estimator.rows import FEWEST_ROWS, FLOATS, map_rows, mean_by_weight
from pushforward.estimator.shapes import check_lengths
from pushforward.estimator.text_levels import TextLevels
from pushforward.support.even_points import normal_points


class ConditionalFlowDensity(RegressorMixin, Forecasting):
    """p(y | X), learned by a normalizing flow, as a scikit-learn estimator.

    A regressor whose `predict` gives medians, means or modes, `predict_quantiles` any quantiles, `predict_interval`
    intervals and `sample` draws; `crps`, `pit` and `coverage` judge them. One target has the mixture of up to five
    flows, each with other rows held out, and of linear regressions, which its training starts from. Beside the columns
    of X both are shown the target as boosted trees and a Gaussian process predict it, for every row of the fit from
    other rows; `history_` says what these explain, and what explains nothing is left out. For one target the
    quantiles are exact: y = f(z | X) increases with z, so that the q-quantile is f(Φ⁻¹(q) | X). For several targets
    they are those of each target by itself over 1024 points y = f(z | X), z from a Sobol sequence in normal
    coordinates, which is the same for every row and at every call. Targets that are flags, counts or grades have
    probabilities, and their quantiles and draws are among their values.

    Columns of X are what `kinds` says: flows and regressions are shown numbers as they are; angles, which their name
    and range tell as well, as points on a circle; of text in a data frame, and of a column that is declared as
    "category", a flag for each level; and of a "mixed" one, beside the number, a flag for values that many rows have.
    Columns that are constant in the rows that are trained on carry no information, and are left out; a target that is
    constant there keeps its value.

    Values of X may be missing, NaN. A column with gaps in the rows that are trained on is seen as its numbers, with the
    median in the gaps, and a flag that says where these are: what a missing value means is learned. In a column without
    gaps in the fit a missing value is later taken for the median, as if it were known, with a warning that names the
    column. A level that no row of the fit had is missing, and in place of a median levels have the most frequent one.

    Where X lies beyond the range of the rows of the fit, nothing is known: targets without bounds follow the linear
    regression of the rows of the fit from there on, ever less certain, others widen to the deviation of all rows, and
    a warning says of how many rows that is so.

    Rows in float64 are evaluated in double precision, so that a row's result does not depend on the other rows; rows in
    float32 in the precision of the flow's networks, several times as fast.

    Arguments:
        {options}

    Attributes:
        flow_: the fitted `Flow`, or `FlowMixture` of one target, over the targets that vary, in their own units; its
            context is what is shown of the columns of X that vary, and flags of those with gaps; the trees and the
            process are part of it. Of targets with probabilities it is over their points on a line.
        history_: the course of the training.
        n_features_in_: C.
        n_outputs_: K, the number of targets.
        feature_names_in_: (C,) names of the columns, where X had any.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(300, 2))
        >>> y = X[:, 0] + 0.1 * np.random.default_rng(1).normal(size=300)
        >>> density = ConditionalFlowDensity(max_steps=20, random_state=0).fit(X, y)
        >>> density.predict(X).shape, density.predict_quantiles(X, [0.05, 0.95]).shape, density.sample(X, 7).shape
        ((300,), (300, 2), (300, 7))
    """

    def fit(self, X: Any, y: Any) -> ConditionalFlowDensity:
        """Fit the density of y given X.

        Arguments:
            X: (n, C) finite numbers, or NaN where a value is missing; an array, or a data frame, which may have columns
                of text; n at least 4.
            y: (n,) or (n, K) finite numbers.

        Returns:
            Itself.

        Raises:
            InputError: no target varies in the rows that are trained on, a target is missing, or an option that is not
                allowed.
            TrainingError: training met too many numbers that are not finite.
        """
        check_lengths(X, y)
        self._text_levels = TextLevels(X)
        rows, targets = validate_data(
            self,
            readable(self._as_numbers(X), gaps=True),
            readable_targets(y),
            dtype=FLOATS,
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=FEWEST_ROWS,
            ensure_all_finite=False,
        )
        check_finite(rows, X, gaps=True)
        self._one_dimensional = targets.ndim == 1
        targets = targets.reshape(len(rows), -1)
        self.n_outputs_ = targets.shape[1]
        low, high = targets.min(0).astype(np.float64), targets.max(0).astype(np.float64)
        self._ends_of_mean = 2 * low - high, 2 * high - low
        names = vars(self).get("feature_names_in_", [f"x{index}" for index in range(rows.shape[1])])
        targets_named = [f"y{index}" for index in range(self.n_outputs_)]
        texts = self._text_levels.by_place
        self._fit_flow(targets, targets_named, rows, context_names=[str(n) for n in names], context_texts=texts)
        return self

    def predict(self, X: Any, statistic: Literal["median", "mean", "mode"] = "median") -> np.ndarray:
        """The median, mean or mode of each target, (n,) or (n, K) as y was.

        Arguments:
            X: (n, C).
            statistic: "median" (default); "mean", by quadrature, in which values count no farther than one range beyond
                the targets of the fit, or of the central 98 % of a row beyond the range of X; or "mode" of one target,
                the densest of 100 quantiles.

        Raises:
            InputError: another statistic, or the mode of several targets.
        """
        if statistic == "median":
            return self.predict_quantiles(X, [0.5])[:, 0]
        if statistic == "mean":
            return self._predicted_mean(X)
        if statistic == "mode":
            return self._predicted_mode(X)
        raise InputError(f'statistic is "median", "mean" or "mode", not {statistic!r}.')

    def predict_quantiles(self, X: Any, quantiles: Any) -> np.ndarray:
        """Quantiles of each target: exact for one target, over 1024 points for several.

        Arguments:
            X: (n, C).
            quantiles: (Q,) probabilities above 0 and below 1, or one.

        Returns:
            (n, Q), or (n, Q, K) where y had two dimensions; float64.

        Raises:
            InputError: a probability that is not between 0 and 1.

        Cost: one forward of the flow's bijection for each row and quantile; of several targets, 1024 for each row.
        """
        probabilities = probabilities_of(quantiles, "quantiles")
        rows = self._checked_rows(X)
        flow = self._evaluated_by(rows.dtype)
        if flow.features == 1 and self._kinds.monotone:
            # Every named architecture of one feature increases with z, and values increase with its points.
            targets = self._to_data(flow, torch.special.ndtri(torch.from_numpy(probabilities))[:, None], rows)
        else:
            draws = self._to_data(flow, normal_points(POINTS, flow.features), rows)
            # A quantile of probabilities is one of the values, not a number between them.
            methods: list[Any] = ["inverted_cdf" if discrete else "linear" for discrete in self._kinds.discrete]
            targets = np.stack(
                [np.quantile(draws[..., k], probabilities, axis=1, method=m).T for k, m in enumerate(methods)], axis=-1
            )
        return self._shaped(targets)

    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw targets for each row.

        Arguments:
            X: (n, C).
            n_samples: number of draws for each row.
            random_state: makes the draws repeat: a number or a `numpy.random.RandomState`.

        Returns:
            (n, n_samples), or (n, n_samples, K) where y had two dimensions; float64.
        """
        rows = self._checked_rows(X)
        flow = self._evaluated_by(np.dtype(np.float32))

        def draw(given: Tensor) -> Tensor:
            context = self._context_of(given)
            if context is None:
                return flow.sample((len(given), n_samples)).double()
            return flow.sample((n_samples,), context).double().movedim(0, 1)

        with seeded_draws(random_state, flow):
            draws = map_rows(draw, flow, rows, rows=max(1, DRAWS // max(1, n_samples)))
        return self._shaped(self._kinds.decode(draws))

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """log p(y | X) of each row in nats, (n,).

        Of targets with probabilities these are log-probabilities. It is -inf where such a target has a value that was
        never seen, or another one lies outside its bounds, where a target that was constant in the fit has another
        value, and for targets so far from the data that even float64 has no number for them.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K); without it, the predicted medians: how dense the model is at its own predictions.

        Raises:
            InputError: another number of targets.
        """
        rows, targets = self._rows_and_targets(X, self.predict(X) if y is None else y)
        return self._log_prob(targets, rows, precision=rows.dtype)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The mean of log p(y | X) over the rows, in nats per row; not R², which `sklearn.metrics.r2_score` gives."""
        return mean_by_weight(self.score_samples(X, y), sample_weight)

    def _as_numbers(self, X: Any) -> Any:
        return self._text_levels(X)

    def _shaped(self, targets: np.ndarray) -> np.ndarray:
        """All targets of those that vary, (n, P, targets), with as many dimensions as y had."""
        whole = self._columns.whole(targets)
        return whole[..., 0] if self._one_dimensional else whole

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        # `score` is a log-density, which can be any number.
        tags.regressor_tags.poor_score = True
        return tags

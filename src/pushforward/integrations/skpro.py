"""A conditional flow as a probabilistic regressor of skpro, whose predictions are distributions of skpro."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from pushforward.errors import InputError
from pushforward.estimator import ConditionalFlowDensity
from pushforward.estimator.forecast import Forecast, normal_nodes
from pushforward.integrations.requirement import requires

with requires("skpro", "skpro"):
    import pandas as pd
    from skpro.distributions.base import BaseDistribution
    from skpro.regression.base import BaseProbaRegressor


class FlowRegressor(BaseProbaRegressor):
    """`pushforward.ConditionalFlowDensity` of one target with the methods of skpro's regressors.

    Arguments:
        flow: a named architecture, which is one flow; by default a mixture of up to five that are shown what
            regressions say of the target.
        max_time: most seconds of training; default until it stops gaining.
        max_steps: most steps of training of each flow.
        kind: what the target is: "continuous" (default), of whole numbers too, so that it has a density as skpro's
            scores need it; "integer" and the like for probabilities; None to learn it from the values.
        random_state: of the fit.

    Attributes:
        estimator_: the fitted `ConditionalFlowDensity`, with calibration and intervals of highest density.

    Raises:
        InputError: from `fit`, several targets, or as by `ConditionalFlowDensity.fit`.

    Cost: that of `ConditionalFlowDensity`.

    Source: skpro, Gressmann, Király, Mateen and Oberhauser 2018, arXiv:1801.00753.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from pushforward.integrations.skpro import FlowRegressor
        >>> X = pd.DataFrame({"x": np.linspace(0, 1, 50)})
        >>> y = pd.DataFrame({"y": X["x"] ** 2 + 0.1 * np.random.default_rng(0).normal(size=50)})
        >>> regressor = FlowRegressor("maf", max_steps=10, random_state=0).fit(X, y)
        >>> regressor.predict_proba(X).log_pdf(y).shape
        (50, 1)
    """

    _tags = {  # noqa: RUF012 (skpro's own spelling)
        "capability:multioutput": False,
        "capability:missing": True,
        "X_inner_mtype": "pd_DataFrame_Table",
        "y_inner_mtype": "pd_DataFrame_Table",
    }

    def __init__(
        self,
        flow: str | None = None,
        max_time: float | None = None,
        max_steps: int | None = None,
        kind: str | None = "continuous",
        random_state: Any = None,
    ):
        self.flow = flow
        self.max_time = max_time
        self.max_steps = max_steps
        self.kind = kind
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: Any, C: Any = None) -> FlowRegressor:
        if y.shape[1] != 1:
            raise InputError(f"FlowRegressor takes one target; y has {y.shape[1]} columns.")
        self._target = y.columns
        options = self.get_params(deep=False)
        kind = options.pop("kind")
        density = ConditionalFlowDensity(kinds=None if kind is None else {0: kind}, **options)
        self.estimator_ = density.fit(_named(X), y.to_numpy(np.float64)[:, 0])
        return self

    def _predict(self, X: Any) -> Any:
        return pd.DataFrame(self.estimator_.predict(_named(X), statistic="mean"), X.index, self._target)

    def _predict_quantiles(self, X: Any, alpha: Any) -> Any:
        columns = pd.MultiIndex.from_product([self._target, list(alpha)])
        return pd.DataFrame(self.estimator_.predict_quantiles(_named(X), list(alpha)), X.index, columns)

    def _predict_proba(self, X: Any) -> FlowDistribution:
        # Frozen, so that copies of the distribution keep what is fitted.
        return FlowDistribution(FrozenEstimator(self.estimator_), _named(X), X.index, self._target)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for the checks of skpro, which fit often: one flow each."""
        return [
            {"flow": "maf", "max_steps": 5, "random_state": 0},
            {"flow": "nsf", "max_time": 0.5, "random_state": 0},
        ]


class FlowDistribution(BaseDistribution):
    """p(y | X) of each row of X, as a distribution of skpro.

    Densities, the distribution function, quantiles and draws are exact; means, variances and energies are by
    quadrature.

    Arguments:
        estimator: a fitted `ConditionalFlowDensity` of one target, frozen.
        X: a data frame with as many rows.
        index: of the rows, default none: one row, and a scalar.
        columns: the name of the target.

    Cost: one evaluation of the flow for each row; `ppf` takes one call for each distinct probability, and what is by
        quadrature 200 evaluations for each row.

    Example:
        >>> from pushforward.integrations.skpro import FlowDistribution
        >>> distribution = FlowDistribution.create_test_instance()
        >>> distribution.cdf(distribution.sample()).shape
        (3, 1)
    """

    _tags = {  # noqa: RUF012 (skpro's own spelling)
        "capabilities:exact": ["pdf", "log_pdf", "pmf", "log_pmf", "cdf", "ppf"],
        "capabilities:approx": ["mean", "var", "energy"],
        "distr:measuretype": "continuous",
        "distr:paramtype": "nonparametric",
    }

    def __init__(self, estimator: Any, X: Any, index: Any = None, columns: Any = None):
        self.estimator = estimator
        self.X = X
        super().__init__(index=index, columns=columns)
        (kind,) = estimator._kinds.kinds
        if kind.has_probabilities:
            self.set_tags(**{"distr:measuretype": "discrete" if kind.discrete else "mixed"})

    def _iloc(self, rowidx: Any = None, colidx: Any = None) -> FlowDistribution:
        if np.isscalar(rowidx) and np.isscalar(colidx):
            return self._iat(rowidx, colidx)
        rows = np.arange(len(self.X)) if rowidx is None else np.atleast_1d(rowidx)
        columns = self.columns if colidx is None else self.columns[np.atleast_1d(colidx)]
        return FlowDistribution(self.estimator, self.X.iloc[rows], self.index[rows], columns)

    def _iat(self, rowidx: Any = None, colidx: Any = None) -> FlowDistribution:
        return FlowDistribution(self.estimator, self.X.iloc[[rowidx]])

    def _log_pdf(self, x: Any) -> np.ndarray:
        return self.estimator.score_samples(self.X, x.reshape(-1)).reshape(x.shape)

    def _pdf(self, x: Any) -> np.ndarray:
        return np.exp(self._log_pdf(x))

    _log_pmf, _pmf = _log_pdf, _pdf

    def _cdf(self, x: Any) -> np.ndarray:
        if self.get_tag("distr:measuretype") == "continuous":
            return self.estimator.pit(self.X, x.reshape(-1)).reshape(x.shape)
        rows, targets = self.estimator._rows_and_targets(self.X, x.reshape(-1))
        _, end = self.estimator._normal_ends(rows, targets)
        return torch.special.ndtr(end).numpy().reshape(x.shape)

    def _ppf(self, p: Any) -> np.ndarray:
        flat = p.reshape(-1)
        found = np.empty(flat.shape)
        for probability in np.unique(flat):
            rows = flat == probability
            found[rows] = self.estimator.predict_quantiles(self.X[rows], [probability])[:, 0]
        return found.reshape(p.shape)

    def _sample(self, n_samples: int | None = None) -> Any:
        if n_samples is not None and n_samples < 1:
            raise InputError(f"n_samples is a whole number of at least 1, or None for one draw; it is {n_samples}.")
        draws = self.estimator.sample(self.X, n_samples or 1, random_state=np.random.mtrand._rand)
        if self.ndim == 0:
            return draws[0, 0] if n_samples is None else pd.DataFrame(draws[0])
        if n_samples is None:
            return pd.DataFrame(draws, self.index, self.columns)
        frames = [pd.DataFrame(draw, self.index, self.columns) for draw in draws.T]
        return pd.concat(frames, keys=range(n_samples))

    def _mean(self) -> np.ndarray:
        return self.estimator.predict(self.X, statistic="mean").reshape(self.shape)

    def _var(self) -> np.ndarray:
        points = self._points()
        apart = points.values - points.mean()[:, None]
        return (points.weights * apart**2).sum(1).reshape(self.shape)

    def _energy_x(self, x: Any) -> np.ndarray:
        points = self._points()
        return self._by_row((points.weights * abs(points.values - x.reshape(-1, 1))).sum(1))

    def _energy_self(self) -> np.ndarray:
        """E|Y - Y'| = 2 ∫ F (1 - F) dy."""
        points = self._points()
        below = points.weights.cumsum(1)[:, :-1]
        return self._by_row(2 * (below * (1 - below) * np.diff(points.values, axis=1)).sum(1))

    def _by_row(self, energy: np.ndarray) -> Any:
        return energy[0] if self.ndim == 0 else energy[:, None]

    def _points(self) -> Forecast:
        """Quantiles of each row, with the weights of a quadrature over z."""
        z, weights = normal_nodes()
        values = self.estimator.predict_quantiles(self.X, torch.special.ndtr(z).numpy())
        return Forecast.of(values, weights.numpy())

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for the checks of skpro."""
        X = pd.DataFrame({"x": np.linspace(-1, 1, 40)})
        y = X["x"].to_numpy() + 0.3 * np.random.default_rng(0).normal(size=40)
        estimator = FrozenEstimator(ConditionalFlowDensity("maf", max_steps=5, random_state=0).fit(X, y))
        rows = X.iloc[:3]
        whole = {"estimator": estimator, "X": rows, "index": rows.index, "columns": pd.Index(["y"])}
        return [whole, {"estimator": estimator, "X": rows[:1]}]


def _named(X: Any) -> Any:
    """The table with names that are text."""
    return X.set_axis([str(name) for name in X.columns], axis=1)

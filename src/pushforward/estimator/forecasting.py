"""Predictions, intervals and scores of a conditional density, as methods of its estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_array

from pushforward.errors import InputError
from pushforward.estimator.forecast import Forecast
from pushforward.estimator.predictive_points import PredictivePoints
from pushforward.estimator.rows import beyond_range

# Where modes are looked for, quantiles of the forecast.
CANDIDATES = np.linspace(0.005, 0.995, 100)
# Of the range of a row's forecast.
CENTRAL = (0.01, 0.99)


class Forecasting(PredictivePoints):
    """What a conditional density says of its targets, by the maps of its flows."""

    def crps(self, X: Any, y: Any) -> np.ndarray:
        """The continuous ranked probability score of each row, in the units of the target; lower is better.

        ∫ (F(t | X) - 1[t ≥ y])² dt, by quadrature of 200 points for each flow, or over 1024 points for several targets.
        Where values of one target have probabilities, F jumps there, and the integral is split at them. t counts no
        farther than one range beyond the targets of the fit, or of the central 98 % of a row beyond the range of X, and
        up to y.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K).

        Returns:
            (n,), or (n, K) for each target by itself, as y was in the fit.

        Raises:
            InputError: another number of targets.
        """
        rows, targets = self._rows_and_targets(X, y)
        ends = self._ends_of_rows(rows)
        return self._of_each(rows, lambda forecast, part, k: forecast.crps(targets[part, k], *ends(forecast, part, k)))

    def pit(self, X: Any, y: Any) -> np.ndarray:
        """The probability integral transform F(y | X) of each row: uniform where the forecasts are calibrated.

        For a value with a probability half of it is counted, so that it is not uniform. It is F(y) for a value that the
        target cannot have, such as 2.5 of counts, and NaN for such a level. Exact for one target, over 1024 points for
        several.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K).

        Returns:
            (n,), or (n, K) for each target by itself, as y was in the fit.

        Raises:
            InputError: another number of targets.
        """
        rows, targets = self._rows_and_targets(X, y)
        if not self._invertible:
            nowhere = self._without_place(targets)
            return self._of_each(
                rows, lambda forecast, part, k: np.where(nowhere[part, k], np.nan, forecast.pit(targets[part, k]))
            )
        low, high = self._normal_ends(rows, targets)
        return self._as_targets((0.5 * (torch.special.ndtr(low) + torch.special.ndtr(high))).numpy()[:, None])

    def coverage(self, X: Any, y: Any, levels: Any = (0.5, 0.9, 0.95)) -> np.ndarray:
        """The share of rows within their equal-tailed intervals of each level, those of `predict_interval`.

        Of calibrated forecasts it is that level, or more where single values have probabilities. A row with a value
        that the target cannot have, such as 2.5 of counts, is outside.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K).
            levels: (L,) between 0 and 1, or one, default 0.5, 0.9 and 0.95.

        Returns:
            (L,), or (L, K) for each target by itself, as y was in the fit.

        Raises:
            InputError: another number of targets, or a level that is not between 0 and 1.
        """
        asked = probabilities_of(levels, "levels")
        ends = self.predict_quantiles(X, np.concatenate([0.5 - asked / 2, 0.5 + asked / 2]))
        low, high = np.split(ends.reshape(len(ends), 2 * len(asked), -1), 2, axis=1)
        targets = self._as_forecast(self._checked_targets(ends, y))[:, None]
        found: np.ndarray = ((low <= targets) & (targets <= high)).mean(0)
        return found[:, 0] if self._one_dimensional else found

    def predict_interval(
        self, X: Any, coverage: float = 0.9, kind: Literal["equal-tailed", "highest-density"] = "equal-tailed"
    ) -> np.ndarray:
        """An interval that holds each target with a probability.

        Arguments:
            X: (n, C).
            coverage: the probability, default 0.9.
            kind: "equal-tailed" (default), with as much probability below as above, or "highest-density", the shortest
                interval, which has the highest densities where there is one mode.

        Returns:
            Lower and upper ends, (n, 2), or (n, 2, K) where y had two dimensions.

        Raises:
            InputError: a coverage that is not between 0 and 1, or another kind.
        """
        (share,) = probabilities_of([coverage], "coverage")
        if kind == "equal-tailed":
            return self.predict_quantiles(X, [0.5 - share / 2, 0.5 + share / 2])
        if kind != "highest-density":
            raise InputError(f'kind is "equal-tailed" or "highest-density", not {kind!r}.')
        rows = self._checked_rows(X)
        discrete = np.zeros(self.n_outputs_, dtype=bool)
        discrete[self._columns.places] = self._kinds.discrete

        def ends(forecast: Forecast, part: slice, k: int) -> np.ndarray:
            # Those of values with probabilities are two of them.
            begin = forecast.begin_of_shortest(share, discrete=discrete[k])
            return forecast.at(np.stack([begin, begin + share], 1), discrete=discrete[k])

        return self._of_each(rows, ends)

    def recorded_log_prob(self, X: Any, y: Any) -> np.ndarray:
        """log P of the value that is recorded, of each row, (n,): of all numbers that are written like it.

        It is -inf for a value that the target cannot have.
        A density can grow without bound where few values occur; the probability of what is recorded is at most 1.

        Arguments:
            X: (n, C).
            y: (n,) of one target.

        Raises:
            InputError: several targets, or one of which no step is known; `kinds` declares it.
        """
        rows, targets = self._rows_and_targets(X, y)
        if not self._invertible:
            raise InputError("The probability of a recorded value is that of one target that is not an angle.")
        (kind,) = self._kinds.kinds
        step = getattr(kind, "step", None) or getattr(kind, "written_step", None)
        if not kind.discrete and not step:
            raise InputError(
                f"{kind.describe()}: no step to which the target is recorded is known; declare it, such as "
                'kinds={"y0": {"kind": "continuous", "step": 0.01}}.'
            )
        low, high = self._normal_ends(rows, targets)
        if bool((low == high).any()):
            half = np.where((low == high).numpy(), 0.5 * float(step or 0), 0.0)[:, None]
            low, high = self._normal_ends(rows, targets - half)[0], self._normal_ends(rows, targets + half)[1]
        # In the tail with the digits.
        flip = low + high > 0
        low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
        above = torch.special.log_ndtr(high)
        ratio = torch.special.log_ndtr(low) - above
        found = (above + torch.log(-torch.expm1(ratio.clamp(max=-1e-300)))).numpy()
        return np.where(np.isnan(self._as_forecast(targets)[:, 0]), -np.inf, found)

    def _predicted_mean(self, X: Any) -> np.ndarray:
        rows = self._checked_rows(X)
        ends = self._ends_of_rows(rows)
        return self._of_each(rows, lambda forecast, part, k: forecast.mean(*ends(forecast, part, k)))

    def _ends_of_rows(self, rows: np.ndarray) -> Callable[[Forecast, slice, int], tuple[Any, Any]]:
        """How far values count in a mean: beyond the range of X as far as the forecasts reach there."""
        beyond = beyond_range(self.flow_, self._context_of(rows), len(rows))
        lowest, highest = self._ends_of_mean

        def ends(forecast: Forecast, part: slice, k: int) -> tuple[Any, Any]:
            low, high, far = lowest[k], highest[k], beyond[part, None]
            if not far.any():
                return low, high
            first, last = (forecast.quantile(level)[:, None] for level in CENTRAL)
            reach = last - first
            return np.where(far, np.minimum(low, first - reach), low), np.where(
                far, np.maximum(high, last + reach), high
            )

        return ends

    def _predicted_mode(self, X: Any) -> np.ndarray:
        if self.n_outputs_ > 1:
            raise InputError("There is a mode of one target only; several have a mean and a median.")
        quantiles = self.predict_quantiles(X, CANDIDATES).reshape(-1, len(CANDIDATES))
        rows = np.repeat(self._context_columns(self._checked(X)), len(CANDIDATES), 0)
        found = self._log_prob(quantiles.reshape(-1, 1), rows, precision=rows.dtype).reshape(quantiles.shape)
        best = np.take_along_axis(quantiles, found.argmax(1)[:, None], 1)
        return self._as_targets(best)

    def predict_quantiles(self, X: Any, quantiles: Any) -> np.ndarray:
        """Quantiles of each target."""
        raise NotImplementedError


def probabilities_of(values: Any, name: str) -> np.ndarray:
    """Probabilities between 0 and 1, (Q,), of several or one."""
    values = np.atleast_1d(values) if np.isscalar(values) else values
    found: np.ndarray = check_array(values, ensure_2d=False, dtype=np.float64, input_name=name).reshape(-1)
    if not ((found > 0) & (found < 1)).all():
        raise InputError(f"{name.capitalize()} must be above 0 and below 1.")
    return found

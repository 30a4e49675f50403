"""Predictions, intervals and scores of a conditional density, as methods of its estimator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted
from torch import Tensor

from pushforward.errors import InputError
from pushforward.estimator.base import FlowEstimator
from pushforward.estimator.forecast import Forecast, normal_nodes
from pushforward.estimator.rows import map_rows, unmasked
from pushforward.flow import Flow
from pushforward.tables.columns.values import UNSEEN

# Latent points behind what is said of several targets, a power of two.
POINTS = 1024
# Rows times draws that are in memory at a time.
DRAWS = 2**18
# Where modes are looked for, quantiles of the forecast.
CANDIDATES = np.linspace(0.005, 0.995, 100)


class Forecasting(FlowEstimator):
    """What a conditional density says of its targets, by the maps of its flows."""

    n_outputs_: int
    _one_dimensional: bool

    def crps(self, X: Any, y: Any) -> np.ndarray:
        """The continuous ranked probability score of each row, in the units of the target; lower is better.

        ∫ (F(t | X) - 1[t ≥ y])² dt, by quadrature of 200 points for each flow, or over 1024 points for several targets.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K).

        Returns:
            (n,), or (n, K) for each target by itself, as y was in the fit.

        Raises:
            InputError: another number of targets.
        """
        rows, targets = self._rows_and_targets(X, y)
        return self._of_each(rows, lambda forecast, part, k: forecast.crps(targets[part, k]))

    def pit(self, X: Any, y: Any) -> np.ndarray:
        """The probability integral transform F(y | X) of each row: uniform where the forecasts are calibrated.

        For a value with a probability half of it is counted. Exact for one target, over 1024 points for several.

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
            return self._of_each(rows, lambda forecast, part, k: forecast.pit(targets[part, k]))
        low, high = self._normal_ends(rows, targets)
        return self._as_targets((0.5 * (torch.special.ndtr(low) + torch.special.ndtr(high))).numpy()[:, None])

    def coverage(self, X: Any, y: Any, levels: Any = (0.5, 0.9, 0.95)) -> np.ndarray:
        """The share of rows within their equal-tailed intervals of each level, which should be that level.

        Arguments:
            X: (n, C).
            y: (n,) or (n, K).
            levels: (L,) between 0 and 1, default 0.5, 0.9 and 0.95.

        Returns:
            (L,), or (L, K) for each target by itself, as y was in the fit.
        """
        asked = probabilities_of(levels, "levels")
        away = np.abs(2 * self.pit(X, y) - 1)
        found: np.ndarray = np.stack([(away <= level).mean(0) for level in asked])
        return found

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

        def ends(forecast: Forecast, part: slice, k: int) -> np.ndarray:
            begin = forecast.begin_of_shortest(share)
            middle = forecast.weights.cumsum(1) - 0.5 * forecast.weights
            levels = np.stack([begin, begin + share], 1)
            return np.stack([np.interp(*row) for row in zip(levels, middle, forecast.values, strict=True)])

        return self._of_each(rows, ends)

    def recorded_log_prob(self, X: Any, y: Any) -> np.ndarray:
        """log P of the value that is recorded, of each row, (n,): of all numbers that are written like it.

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
        return (above + torch.log(-torch.expm1(ratio.clamp(max=-1e-300)))).numpy()

    def _predicted_mean(self, X: Any) -> np.ndarray:
        return self._of_each(self._checked_rows(X), lambda forecast, part, k: forecast.mean())

    def _predicted_mode(self, X: Any) -> np.ndarray:
        if self.n_outputs_ > 1:
            raise InputError("There is a mode of one target only; several have a mean and a median.")
        quantiles = self.predict_quantiles(X, CANDIDATES).reshape(-1, len(CANDIDATES))
        rows = np.repeat(self._checked(X), len(CANDIDATES), 0)
        found = self._log_prob(quantiles.reshape(-1, 1), rows, precision=rows.dtype).reshape(quantiles.shape)
        best = np.take_along_axis(quantiles, found.argmax(1)[:, None], 1)
        return self._as_targets(best)

    @property
    def _invertible(self) -> bool:
        """Whether the one target increases with z."""
        return self.n_outputs_ == 1 and self._kinds.monotone

    def _normal_ends(self, rows: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        """z of the two ends of the intervals of values, each (n,), which are equal for values with a density."""
        flow = self._evaluated_by(np.dtype(np.float64))
        codes = self._kinds.encode(self._columns.of(targets))
        known = (codes != UNSEEN).all(1)
        low, high, _ = self._kinds.maps.intervals(torch.from_numpy(np.where(known[:, None], codes, codes[known][:1])))
        found = []
        for end in (low, high):
            inside = end.isfinite()

            def latent(y: Tensor, given: Tensor) -> Tensor:
                return flow.to_latent(y.to(flow.reference), self._context_of(given)).double()

            z = torch.from_numpy(map_rows(latent, flow, torch.where(inside, end, 0.0).numpy(), rows.astype(np.float64)))
            z = torch.where(inside, z, end)[:, 0]
            found.append(z.masked_fill(~torch.from_numpy(known), torch.nan))
        return found[0], found[1]

    def _of_each(self, rows: np.ndarray, function: Any) -> np.ndarray:
        """A function of the forecast, the rows and the place of each target, as many dimensions as y had."""
        parts = []
        for part, values, weights in self._points(rows):
            each = [function(Forecast.of(values[..., k], weights), part, k) for k in range(self.n_outputs_)]
            parts.append(np.stack(each, -1))
        whole = np.concatenate(parts)
        return whole[..., 0] if self._one_dimensional else whole

    def _as_targets(self, values: np.ndarray) -> np.ndarray:
        """(n, K) as y was."""
        return values[:, 0] if self._one_dimensional else values

    def _points(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Some rows at a time: which, points of their targets, (m, P, K), and weights, (P,)."""
        flow = self._evaluated_by(rows.dtype)
        z, weights = self._latents(flow)
        whole = np.concatenate([share * weights for share, _ in flow.parts])
        step = max(1, DRAWS // len(whole))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            values = [self._to_data(one, z, rows[part]) for _, one in flow.parts]
            yield part, self._columns.whole(np.concatenate(values, 1)), whole

    def _latents(self, flow: Flow) -> tuple[Tensor, np.ndarray]:
        """Points z, (P, D), and weights, (P,): of quadrature, or of a Sobol sequence for several targets."""
        if flow.features == 1:
            z, weights = normal_nodes()
            return z[:, None], weights.numpy()
        return torch.special.ndtri(uniform_points(flow.features)), np.full(POINTS, 1 / POINTS)

    def _to_data(self, flow: Flow, z: Tensor, rows: np.ndarray) -> np.ndarray:
        """The targets f(z | row), (n, P, K), of the same latents, (P, K), for each row."""
        z = z.to(flow.reference)

        def map_latents(given: Tensor) -> Tensor:
            context = self._context_of(given)
            if context is None:
                return flow.to_data(z).double().expand(len(given), -1, -1)
            # Latents come first: a mixture then evaluates its networks once for each row.
            return flow.to_data(z[:, None].expand(-1, len(given), -1), context).double().movedim(0, 1)

        return self._kinds.decode(map_rows(map_latents, flow, rows, rows=max(1, DRAWS // len(z))))

    def _checked_rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        rows = self._checked(X)
        self._warn_beyond_range(rows)
        return rows

    def _rows_and_targets(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows, and targets as (n, K) float64."""
        rows = self._checked_rows(X)
        targets = check_array(unmasked(y, "y"), ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(rows, targets)
        targets = targets.reshape(len(rows), -1)
        if targets.shape[1] != self.n_outputs_:
            raise InputError(f"y has {targets.shape[1]} targets, but the estimator was fitted to {self.n_outputs_}.")
        return rows, targets

    def predict_quantiles(self, X: Any, quantiles: Any) -> np.ndarray:
        """Quantiles of each target."""
        raise NotImplementedError

    def _warn_beyond_range(self, rows: np.ndarray) -> None:
        """Warn of rows that lie beyond the range of those of the fit."""
        raise NotImplementedError


def probabilities_of(values: Any, name: str) -> np.ndarray:
    """Probabilities between 0 and 1, (Q,)."""
    found: np.ndarray = check_array(values, ensure_2d=False, dtype=np.float64, input_name=name).reshape(-1)
    if not ((found > 0) & (found < 1)).all():
        raise InputError(f"{name.capitalize()} must be above 0 and below 1.")
    return found


def uniform_points(features: int = 1) -> Tensor:
    """1024 points that fill the cube evenly, (1024, D), float64, always the same."""
    # Scrambled, so that no point lies on the edge of the cube.
    engine = torch.quasirandom.SobolEngine(features, scramble=True, seed=0)
    points: Tensor = engine.draw(POINTS, dtype=torch.float64)
    return points

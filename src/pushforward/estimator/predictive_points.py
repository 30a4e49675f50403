"""A conditional density as points of its targets, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from pushforward.errors import InputError
from pushforward.estimator.base import FlowEstimator
from pushforward.estimator.cells import readable_targets
from pushforward.estimator.forecast import Forecast, normal_nodes
from pushforward.estimator.jumps import FEWEST_NODES, MOST_NODES, jumps_of, nodes_beside_jumps, weights_of_jumps
from pushforward.estimator.rows import map_rows, warn_beyond_range, warn_of_new_gaps
from pushforward.estimator.shapes import check_lengths
from pushforward.flow import Flow
from pushforward.support.even_points import normal_points
from pushforward.tables.columns.values import UNSEEN

# Latent points behind what is said of several targets, a power of two.
POINTS = 1024
# Rows times draws that are in memory at a time.
DRAWS = 2**18
# Jumps that overlap by more than this are one.
CLOSEST = 1e-9


class Jumps(NamedTuple):
    """Jumps of a distribution function, on the line of a target's points.

    Attributes:
        low: (J,) where they begin, increasing, perhaps infinite.
        high: (J,) where they end.
        inside: (J,) a point of each.
        between: whether there are values between them.
        beyond: whether there are values below the first and above the last.
    """

    low: Tensor
    high: Tensor
    inside: Tensor
    between: bool
    beyond: bool


class PredictivePoints(FlowEstimator):
    """The targets of rows that latent points stand for, by the maps of the flows."""

    _takes_gaps = True
    n_outputs_: int
    _one_dimensional: bool
    # (K,) each: how far from the targets of the fit values count in a mean.
    _ends_of_mean: tuple[np.ndarray, np.ndarray]

    @property
    def _invertible(self) -> bool:
        """Whether the one target increases with z."""
        return self.n_outputs_ == 1 and self._kinds.monotone

    def _normal_ends(self, rows: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        """z of the two ends of the intervals of values, each (n,), which are equal for values with a density.

        Those of a value that the target cannot have are where smaller values end; NaN if its values have no order.
        """
        flow = self._evaluated_by(np.dtype(np.float64))
        ends = self._ends(targets)

        def latent(y: Tensor, given: Tensor) -> Tensor:
            return flow.to_latent(y.to(flow.reference), self._context_of(given)).double()

        found = []
        for end in ends:
            inside = end.isfinite()
            z = torch.from_numpy(map_rows(latent, flow, torch.where(inside, end, 0.0).numpy(), rows.astype(np.float64)))
            found.append(torch.where(inside, z, end)[:, 0])
        return found[0], found[1]

    def _ends(self, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        """The ends of the intervals on the line of the one target that varies, each (n, 1)."""
        codes = self._kinds.encode(self._columns.of(targets))
        unseen = (codes == UNSEEN).any(1)
        low, high, _ = self._kinds.maps.intervals(torch.from_numpy(np.where(unseen[:, None], np.nan, codes)))
        if unseen.any():
            below = torch.from_numpy(self._kinds.ends_below(self._columns.of(targets)[unseen]))
            low[unseen] = high[unseen] = below
        return low, high

    def _as_forecast(self, targets: np.ndarray) -> np.ndarray:
        """Targets, (n, K), to the last bit as forecasts have them, NaN where one cannot occur."""
        found = targets.copy()
        found[:, self._columns.places] = self._kinds.rounded(self._columns.of(targets))
        return found

    def _without_place(self, targets: np.ndarray) -> np.ndarray:
        """Which targets, (n, K), are levels that were never seen, which have no place among the others."""
        levels = np.zeros(targets.shape[1], dtype=bool)
        levels[self._columns.places] = [not kind.measured for kind in self._kinds.kinds]
        found: np.ndarray = levels & np.isnan(self._as_forecast(targets))
        return found

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
        """Some rows at a time: which, points of their targets, (m, P, K), and weights, (P,) or (m, P)."""
        flow = self._evaluated_by(rows.dtype)
        jumps = self._jumps() if self._invertible else None
        if jumps is not None and len(jumps.low):
            yield from self._points_beside_jumps(flow, rows, jumps)
            return
        z, weights = self._latents(flow)
        whole = np.concatenate([share * weights for share, _ in flow.parts])
        step = max(1, DRAWS // len(whole))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            values = [self._to_data(one, z, rows[part]) for _, one in flow.parts]
            yield part, self._columns.whole(np.concatenate(values, 1)), whole

    def _points_beside_jumps(
        self, flow: Any, rows: np.ndarray, jumps: Jumps
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """As `_points`, of one target whose distribution function jumps at some values."""
        at_jumps = np.repeat(self._kinds.decode(jumps.inside[:, None].numpy())[:, 0], 3)
        step = max(1, DRAWS // (len(flow.parts) * (MOST_NODES + (FEWEST_NODES + 3) * (1 + len(jumps.low)))))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            values, weights = [], []
            for share, one in flow.parts:
                low, high = self._latents_of(one, jumps, rows[part])
                own = [weights_of_jumps(low, high)]
                values.append(np.broadcast_to(at_jumps, (len(low), len(at_jumps))))
                if jumps.beyond:
                    z, beside = nodes_beside_jumps(low, high, jumps.between)
                    values.append(self._to_data_of_each(one, z, rows[part])[..., 0])
                    own.append(beside)
                whole = torch.cat(own, 1)
                weights.append(share * (whole / whole.sum(1, keepdim=True)).numpy())
            yield part, self._columns.whole(np.concatenate(values, 1)[..., None]), np.concatenate(weights, 1)

    def _jumps(self) -> Jumps:
        """Where the distribution function of the one target jumps."""
        (kind,) = self._kinds.kinds
        first, last = (float(end[0]) for end in self._ends_of_mean)
        # The range of the fit, of which the ends of means lie a length beyond either end.
        codes, between, beyond = jumps_of(kind, (2 * first + last) / 3, (first + 2 * last) / 3)
        ends = self._kinds.maps.intervals(torch.from_numpy(codes.astype(np.float64))[:, None])
        low, high = ends.low[:, 0], ends.high[:, 0]
        apart = torch.ones(len(codes), dtype=torch.bool)
        apart[1:] = low[1:] >= high[:-1].cummax(0).values - CLOSEST if len(codes) > 1 else True
        apart &= high > low
        low, high = low[apart], high[apart]
        finite = torch.where(low.isinf(), high - 1, low), torch.where(high.isinf(), low + 1, high)
        inside = torch.where(low.isinf() & high.isinf(), 0.0, 0.5 * (finite[0] + finite[1]))
        return Jumps(low, high, inside, between, beyond)

    def _latents_of(self, flow: Flow, jumps: Jumps, rows: np.ndarray) -> list[Tensor]:
        """z of the beginnings and of the ends of jumps, each (n, J), given each row."""
        found = []
        for ends in (jumps.low, jumps.high):
            inside = torch.where(ends.isinf(), 0.0, ends).to(flow.reference)

            def latent(given: Tensor, inside: Tensor = inside) -> Tensor:
                y = inside[:, None, None].expand(-1, len(given), 1)
                return flow.to_latent(y, self._context_of(given))[..., 0].double().t()

            z = torch.from_numpy(map_rows(latent, flow, rows))
            found.append(torch.where(ends.isinf(), ends, z))
        return found

    def _to_data_of_each(self, flow: Flow, z: Tensor, rows: np.ndarray) -> np.ndarray:
        """The one target f(z | row), (n, P, 1), of latents of each row, (n, P)."""

        def map_latents(given: Tensor, own: Tensor) -> Tensor:
            z = own.t()[..., None].to(flow.reference)
            return flow.to_data(z, self._context_of(given)).double().movedim(0, 1)

        return self._kinds.decode(map_rows(map_latents, flow, rows, z.numpy()))

    def _latents(self, flow: Flow) -> tuple[Tensor, np.ndarray]:
        """Points z, (P, D), and weights, (P,): of quadrature, or of a Sobol sequence for several targets."""
        if flow.features == 1:
            z, weights = normal_nodes()
            return z[:, None], weights.numpy()
        return normal_points(POINTS, flow.features), np.full(POINTS, 1 / POINTS)

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
        """What is given of rows, (n, width)."""
        check_is_fitted(self)
        rows = self._checked(X)
        columns = self._context_columns
        warn_of_new_gaps(columns.new_gaps(rows), vars(self).get("feature_names_in_"), columns.leveled)
        given = columns(rows)
        warn_beyond_range(self.flow_, self._context_of(given), len(given))
        return given

    def _rows_and_targets(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """What is given of rows, and targets as (n, K) float64."""
        rows = self._checked_rows(X)
        return rows, self._checked_targets(rows, y)

    def _checked_targets(self, rows: np.ndarray, y: Any) -> np.ndarray:
        """The targets of rows, (n, K) float64."""
        targets = check_array(readable_targets(y), ensure_2d=False, dtype=np.float64, input_name="y")
        check_lengths(rows, targets)
        targets = targets.reshape(len(rows), -1)
        if targets.shape[1] != self.n_outputs_:
            raise InputError(f"y has {targets.shape[1]} targets, but the estimator was fitted to {self.n_outputs_}.")
        return targets

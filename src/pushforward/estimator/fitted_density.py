"""The density of a fitted estimator, as scores of outliers ask for it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.varying import VaryingColumns
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.training import evaluate


class FittedDensity:
    """The density of rows, (n, D), in the units of the data.

    Arguments:
        flow: of the points of the columns that vary.
        kinds: of these columns.
        columns: which they are.
        log_prob: of rows, (n,), -inf where a value was never seen.
        dtype: of the rows: in float64 a row's result does not depend on the other rows.
    """

    def __init__(
        self,
        flow: Flow,
        kinds: ColumnKinds,
        columns: VaryingColumns,
        log_prob: Callable[[np.ndarray], np.ndarray],
        dtype: np.dtype,
    ) -> None:
        self.flow = copy.deepcopy(flow).double() if dtype == np.float64 else flow
        self.kinds, self.columns, self.log_prob = kinds, columns, log_prob

    def codes(self, rows: np.ndarray) -> Tensor:
        """The codes of the columns that vary, (n, V)."""
        return torch.from_numpy(self.kinds.encode(self.columns.of(rows)))

    def points(self, rows: np.ndarray) -> Tensor:
        """Their points on the line, (n, V) float64, in the middle of the noise; every value must have been seen."""
        codes = self.codes(rows)
        return self.kinds.maps.encode(codes, torch.full((codes.shape[1],), 0.5, dtype=torch.float64))[0]

    def log_prob_of_points(self, points: Tensor) -> Tensor:
        """log q of points, (n,)."""
        return evaluate(self.flow, points).double().cpu()

    @torch.no_grad()
    def latent(self, points: Tensor) -> Tensor:
        """The latent features of points, (n, V); of a mixture, those of its part that weighs most."""
        flow = max(self.flow.parts, key=lambda part: part[0])[1]
        return flow.to_latent(points.to(device_of(flow))).double().cpu()

    def log_prob_of_codes(self, codes: Tensor) -> Tensor:
        """log p of codes, (n,), -inf outside the support of a column."""
        ends = torch.tensor([kind.support for kind in self.kinds.kinds], dtype=torch.float64).t()
        values = evaluate(self.kinds.density(self.flow), codes).double().cpu()
        # The maps of columns continue beyond the columns' support.
        return torch.where(((codes < ends[0]) | (codes > ends[1])).any(1), -torch.inf, values)

    def draw_codes(self, count: int) -> Tensor:
        """Draws of codes, (count, V)."""
        return self.kinds.maps.decode(self.flow.sample((count,)).double().cpu())

    def levels(self) -> list[Tensor | None]:
        """All codes of each column that has no density, ascending."""
        every = [kind.all_codes() for kind in self.kinds.kinds]
        return [None if codes is None else torch.from_numpy(codes) for codes in every]

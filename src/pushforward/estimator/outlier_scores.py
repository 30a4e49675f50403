"""Scores by which rows may be called outliers: the lower, the more of one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections import MarginalSpline
from pushforward.estimator.fitted_density import FittedDensity
from pushforward.estimator.nearest_rows import NearestRows
from pushforward.estimator.rows import FittedRows
from pushforward.support.seeding import seeded
from pushforward.table_models.surprise import conditional_surprise
from pushforward.zoo.recipe import knots_for

# Noise of the smoothed density, in deviations of the columns, and how many draws of it.
NOISE, NOISE_DRAWS = 0.1, 16
# Draws that give the scales of the columns.
SURPRISE_DRAWS = 1_000
BATCH_ROWS = 4_096
# Weights of log-density and distance in the combination. Chosen on simulated outliers: see docs/scikit_learn.md.
WEIGHTS = (1.0, 2.0)


class OutlierScore:
    """A score of rows; the lower, the more of an outlier.

    Arguments:
        density: fitted.
        fit: its rows.
    """

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        pass

    def of(self, density: FittedDensity, rows: np.ndarray, *, fitted: bool = False) -> np.ndarray:
        """The score of rows, (n,), -inf where the density has never seen a value.

        Arguments:
            density: the one of the fit.
            rows: (n, D).
            fitted: whether they are some of the rows of the fit.
        """
        log_prob = density.log_prob(rows)
        seen = np.flatnonzero(np.isfinite(log_prob))
        score = np.full(len(rows), -np.inf)
        if len(seen):
            score[seen] = self._of_seen(density, rows[seen], log_prob[seen])
        return np.where(np.isnan(score), -np.inf, score)

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        """The score of rows that have a density, (n,)."""
        raise NotImplementedError


class LogDensity(OutlierScore):
    """log p(x): how improbable a row is."""

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        return log_prob


class LatentNorm(OutlierScore):
    """-|z|: how far the latent features of a row are from their center."""

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        return -_in_batches(lambda points: density.latent(points).norm(dim=1), density.points(rows))


class Typicality(OutlierScore):
    """-|log p(x) - median|: how far log p is from that of held-out rows, on either side.

    Source: Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019, arXiv:1906.02994.
    """

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        log_prob = density.log_prob(fit.rows[fit.held_out])
        finite = log_prob[np.isfinite(log_prob)]
        self.middle = float(np.median(finite)) if len(finite) else 0.0

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        score: np.ndarray = -np.abs(log_prob - self.middle)
        return score


class DensityRatio(OutlierScore):
    """log p(x) - Σ log p(x[d]): how much less probable a row is than if its columns were independent."""

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        rows = fit.rows[fit.training]
        seen = np.isfinite(density.log_prob(rows))
        self.marginals = MarginalSpline.from_data(density.points(rows[seen]), knots_for(int(seen.sum())))

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        def ratio(points: Tensor) -> Tensor:
            z, log_det = self.marginals.inverse(points)
            independent = log_det.double() - 0.5 * (z.double() ** 2 + math.log(2 * math.pi)).sum(1)
            return density.log_prob_of_points(points) - independent

        return _in_batches(ratio, density.points(rows))


class LargestConditional(OutlierScore):
    """-max over d of -log p(x[d] | others) above its expectation: the most surprising value of a row.

    Cost: 200 densities for each row and column; see `conditional_surprise`.
    """

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        with seeded(0):
            self.draws = density.draw_codes(SURPRISE_DRAWS)[:, None]

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        def largest(codes: Tensor) -> Tensor:
            found = conditional_surprise(density.log_prob_of_codes, codes, self.draws, density.levels())
            return -found.excess.amax(1)

        return _in_batches(largest, density.codes(rows))


class Smoothed(OutlierScore):
    """log E p(x + ε): the density of a row under noise of a tenth of each column's deviation."""

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        rows = fit.rows[fit.training]
        seen = np.isfinite(density.log_prob(rows))
        points = density.points(rows[seen])
        generator = torch.Generator().manual_seed(0)
        # The same for every row, whose score does not depend on others.
        draws = torch.randn(NOISE_DRAWS, points.shape[1], generator=generator, dtype=torch.float64)
        self.noise = NOISE * points.std(0) * draws

    def _of_seen(self, density: FittedDensity, rows: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
        def smoothed(points: Tensor) -> Tensor:
            each = torch.stack([density.log_prob_of_points(points + noise) for noise in self.noise])
            return each.logsumexp(0) - math.log(len(each))

        return _in_batches(smoothed, density.points(rows))


class Nearest(OutlierScore):
    """-log of the distance to the nearest fitted row, scaled by distances around it; every row has one."""

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        deviation = fit.rows[fit.training].std(0)
        self.nearest = NearestRows(fit.rows, np.where(deviation > 0, deviation, 1.0), fit.copies)

    def of(self, density: FittedDensity, rows: np.ndarray, *, fitted: bool = False) -> np.ndarray:
        """The score of rows, (n,)."""
        score: np.ndarray = -self.nearest.log_distances(rows, fitted=fitted)
        return score


class Combined(OutlierScore):
    """-(a(log p(x)) + 2 a(-log distance to the nearest fitted row)), a the oddness in units of the held-out rows."""

    def __init__(self, density: FittedDensity, fit: FittedRows) -> None:
        self.parts = [LogDensity(density, fit), Nearest(density, fit)]
        held_out = fit.rows[fit.held_out]
        self.units = [HeldOutUnits(part.of(density, held_out, fitted=True)) for part in self.parts]

    def of(self, density: FittedDensity, rows: np.ndarray, *, fitted: bool = False) -> np.ndarray:
        """The score of rows, (n,)."""
        each = zip(WEIGHTS, self.parts, self.units, strict=True)
        oddness = [weight * units.oddness(part.of(density, rows, fitted=fitted)) for weight, part, units in each]
        score: np.ndarray = -np.sum(oddness, axis=0)
        return score


class HeldOutUnits:
    """Scores in units of those of held-out rows.

    Oddness is 0 at their median and log 2 at their 10 % quantile, and grows as a logarithm beyond, so that no score
    takes all weight from others.

    Arguments:
        scores: (h,) of held-out rows.

    Example:
        >>> HeldOutUnits(np.linspace(-10, 0, 101)).oddness(np.array([-5.0, -9.0, -np.inf])).round(2)
        array([0.  , 0.69,  inf])
    """

    def __init__(self, scores: np.ndarray) -> None:
        finite = scores[np.isfinite(scores)]
        self.middle = float(np.median(finite)) if len(finite) else 0.0
        self.width = float(self.middle - np.quantile(finite, 0.1)) if len(finite) else 0.0
        self.width = self.width if self.width > 0 else 1.0
        # Where held-out rows have values that were never seen as well, such values are no more than odd.
        self.lowest = float(finite.min()) if 0 < len(finite) < len(scores) else -np.inf

    def oddness(self, scores: np.ndarray) -> np.ndarray:
        """0 at the median, positive below it."""
        found = np.where(np.isneginf(scores), self.lowest, scores)
        apart = self.middle / self.width - found / self.width
        oddness: np.ndarray = np.sign(apart) * np.log1p(np.abs(apart))
        return oddness


SCORES: dict[str, type[OutlierScore]] = {
    "combined": Combined,
    "log_density": LogDensity,
    "latent_norm": LatentNorm,
    "typicality": Typicality,
    "density_ratio": DensityRatio,
    "largest_conditional": LargestConditional,
    "smoothed": Smoothed,
    "nearest_rows": Nearest,
}


@torch.no_grad()
def _in_batches(function: Callable[[Tensor], Tensor], rows: Tensor) -> np.ndarray:
    """A function of rows, (n, V), a few thousand at a time, (n,) float64."""
    found: np.ndarray = torch.cat([function(part).double().cpu() for part in rows.split(BATCH_ROWS)]).numpy()
    return found

"""Coverage: whether regions of highest density hold the share of rows that they should."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import kstest

from pushforward.evaluation.report.contents import Coverage, Estimate
from pushforward.evaluation.report.evidence import Evidence, log_prob_in_parts

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def density_ranks(evidence: Evidence, seed: int) -> tuple[np.ndarray, int]:
    """P(a draw has a lower density than the row), (m,), uniform where the model is right, and the draws behind it.

    Rows that all have one density are ranked among the draws of all; others among draws of their own. A rank among L
    draws is (number below + V (number equal + 1)) / (L + 1), V uniform: exactly uniform on [0, 1] given its draws.
    """
    generator = np.random.default_rng(seed)
    if not evidence.alike:
        own = evidence.several_draws
        of_draws = log_prob_in_parts(evidence.model, own.reshape(-1, own.shape[2])).reshape(own.shape[:2])
        return ranks_among(evidence.log_prob[: own.shape[1]], of_draws, generator), len(own)
    sorted_draws = np.sort(evidence.log_prob_of_draws)
    below, up_to = (np.searchsorted(sorted_draws, evidence.log_prob, side=side) for side in ("left", "right"))
    chance, count = generator.random(len(below)), len(sorted_draws)
    return (below + chance * (up_to - below + 1)) / (count + 1), count


def ranks_among(values: np.ndarray, draws: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The rank of each value, (n,), among L draws of its own, (L, n), exactly uniform on [0, 1] if they are alike.

    Example:
        >>> ranks_among(np.array([1.5]), np.array([[1.0], [2.0], [3.0]]), np.random.default_rng(0)).round(2)
        array([0.41])
    """
    below, up_to = (draws < values).sum(0), (draws <= values).sum(0)
    ranks: np.ndarray = (below + generator.random(len(values)) * (up_to - below + 1)) / (len(draws) + 1)
    return ranks


def coverage(ranks: np.ndarray, draws: int, shared: bool) -> list[Coverage]:
    """The shares of rows within the regions of highest density of each level.

    Arguments:
        ranks: (n,) as `density_ranks` gives them.
        draws: behind each rank.
        shared: whether all ranks are among the same draws, which then add to the error.
    """
    found = []
    for level in LEVELS:
        share = float((ranks >= 1 - level).mean())
        variance = max(share * (1 - share), level * (1 - level)) / len(ranks)
        error = math.sqrt(variance + (level * (1 - level) / draws if shared else 0.0))
        found.append(Coverage(level, Estimate(share, error)))
    return found


def coverage_test(evidence: Evidence, ranks: np.ndarray) -> tuple[float, float]:
    """The statistic of Kolmogorov and Smirnov and its p-value: of the ranks, or of rows against shared draws.

    Ranks among shared draws depend on each other; the two samples of log-densities do not.
    """
    if evidence.alike:
        from scipy.stats import ks_2samp

        found = ks_2samp(evidence.log_prob, evidence.log_prob_of_draws)
    else:
        found = kstest(ranks, "uniform")
    return float(found.statistic), float(found.pvalue)


def crps(evidence: Evidence) -> Estimate | None:
    """The continuous ranked probability score of the one modeled column, in its units; None if there are several.

    CRPS = E|X - y| - E|X - X'| / 2, X and X' draws given the conditions of the row and y its value, by the fair
    estimate from 39 draws.

    Source: Gneiting and Raftery 2007, Journal of the American Statistical Association 102, 359.
    """
    roles = evidence.model.roles
    if len(roles.modeled) != 1 or not roles.schema[roles.modeled[0]].measured:
        return None
    draws = np.sort(evidence.several_draws[:, :, evidence.places[0]], axis=0)
    rows = evidence.features[: draws.shape[1], 0]
    present = ~np.isnan(rows)
    draws, rows, count = draws[:, present], rows[present], len(draws)
    # Σ over pairs |X - X'| of ascending draws.
    apart = 2.0 * ((2.0 * np.arange(1, count + 1) - count - 1)[:, None] * draws).sum(0) / (count * (count - 1))
    values = np.abs(draws - rows).mean(0) - 0.5 * apart
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))) if len(rows) > 1 else None

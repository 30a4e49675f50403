"""What a fitted density misses, by the nearest neighbors of latent points."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from pushforward.chains.chain import Chain
from pushforward.chains.uncertainty import effective_size
from pushforward.evaluation.report.contents import Estimate

NEIGHBOR, MOST_POINTS, REPEATS = 3, 5_000, 4


def latent_gap(z: np.ndarray, chain: Chain, seed: int = 0) -> Estimate:
    """KL(p‖N) of latent points from the standard normal density: the gap of the flow that they are from.

    It is E[|z|² / 2] + D/2 log 2π - H(z), and H(z) = D E[log ε] + a constant by the distances ε to the third nearest
    neighbors. Those of normal points, as many, have the same constant, and nearly the same bias where the gap is small.

    Arguments:
        z: (n, D) of the rows.
        chain: with these rows, their weights and order; as many of them are compared as it is worth.
        seed: of the normal points and of the choice of rows.

    Returns:
        The gap in nats, which may be below 0 by its error.

    Source: Kozachenko and Leonenko 1987.

    Example:
        >>> from pushforward.chains.reading import read_chain
        >>> z = 1.5 * np.random.default_rng(1).normal(size=(4000, 1))  # the gap is (1.5² - 1) / 2 - log 1.5 = 0.22
        >>> abs(latent_gap(z, read_chain(z)).value - 0.22) < 0.1
        True
    """
    generator = np.random.default_rng(seed)
    count = min(MOST_POINTS, len(z), max(int(effective_size(chain)), 10 * NEIGHBOR))
    # Evenly spaced in cumulated weight: rows that are near each other in a chain are near each other in space.
    places = (np.arange(count) + generator.uniform()) / count
    total = np.cumsum(chain.weights) / chain.weights.sum()
    chosen = np.unique(z[np.searchsorted(total, places).clip(max=len(z) - 1)], axis=0)
    features = z.shape[1]
    terms = 0.5 * (chosen**2).sum(1) - features * _log_distances(chosen)
    normal = [generator.standard_normal(chosen.shape) for _ in range(REPEATS)]
    expected = np.concatenate([0.5 * (one**2).sum(1) - features * _log_distances(one) for one in normal])
    error = math.hypot(terms.std() / math.sqrt(len(terms)), expected.std() / math.sqrt(len(expected)))
    return Estimate(float(terms.mean() - expected.mean()), error)


def _log_distances(points: np.ndarray) -> np.ndarray:
    """log of the distance of each point to its third nearest neighbor."""
    found: np.ndarray = np.log(cKDTree(points).query(points, NEIGHBOR + 1)[0][:, -1])
    return found

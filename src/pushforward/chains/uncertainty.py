"""Means over correlated and weighted samples, and their errors by batch means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pushforward.chains.chain import Chain

# Batches are this many autocorrelation times long where there are rows enough for so many batches.
TIMES, FEWEST_BATCHES = 20, 20
# The window of autocorrelations ends where it is this many autocorrelation times long.
WINDOW = 5


@dataclass(frozen=True)
class Mean:
    """A mean and how well it is known.

    Attributes:
        value: the weighted mean.
        error: such that the value plus or minus the error covers 68%, by Student's t of the number of batches.
        size: how many independent samples are as good.
        short: whether the chain is too short for its autocorrelation, so that the error is too small.
    """

    value: float
    error: float
    size: float
    short: bool


def mean_of(values: np.ndarray, chain: Chain) -> Mean:
    """The mean of a function of the rows of a chain, with its error by batch means.

    The batches are pieces of Markov chains, twenty autocorrelation times long, so that their sums are nearly
    independent; the error is that of a ratio of sums of weights. Batches of nested samples are of rows at random.

    Arguments:
        values: (n,) of the rows.
        chain: with their weights and order.

    The size is that by the influence of the rows on this mean, at most that of Kish by the autocorrelation time.

    Source: Flegal and Jones 2010, doi:10.1214/09-AOS735.

    Example:
        >>> from pushforward.chains.reading import read_chain
        >>> x = np.random.default_rng(0).normal(size=(4000, 1))
        >>> found = mean_of(x[:, 0], read_chain(x))
        >>> abs(found.value) < 5 * found.error < 0.1, 2000 < found.size < 8000
        (True, True)
    """
    weights = chain.weights / chain.weights.sum()
    # In two steps: the first mean has rounding errors, which are all that a nearly constant column would have.
    start = float(weights @ values)
    value = start + float(weights @ (values - start))
    rest = weights * ((values - start) - float(weights @ (values - start)))
    if chain.independent:
        order = np.random.default_rng(0).permutation(len(rest))
        rest, walks, time = rest[order], np.zeros(len(rest), dtype=int), 1.0
    else:
        walks = chain.walks
        time = autocorrelation_time(rest, walks)
    batches = _batches(walks, time)
    sums = np.bincount(batches, rest)
    count = len(sums)
    deviation = math.sqrt(count / max(count - 1, 1) * float(sums @ sums))
    factor = float(stats.t.ppf(stats.norm.cdf(1), max(count - 1, 1)))
    variance = float(weights @ (values - value) ** 2)
    # By the autocorrelation time, which is less noisy than the variance of few batches.
    spread = float(rest @ rest) * time
    size = min(variance / spread if spread > 0 else len(values), kish_size(chain.weights) / time)
    short = count < FEWEST_BATCHES or len(values) < 5 * FEWEST_BATCHES * time
    return Mean(value, factor * deviation, min(size, float(len(values))), short)


def autocorrelation_time(values: np.ndarray, walks: np.ndarray) -> float:
    """The integrated autocorrelation time of a series in rows, at least 1: 1 + 2 Σ ρ_t.

    Arguments:
        values: (n,) of mean 0.
        walks: (n,) the number of the Markov chain of each, ascending.

    Source: Sokal 1997, doi:10.1007/978-1-4899-0319-8_6: the sum ends at the first lag that is five times as long.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=20_000)
        >>> walk = np.convolve(noise, 0.8 ** np.arange(100))[:20_000]  # 1.8 / 0.2 = 9
        >>> bool(7 < autocorrelation_time(walk, np.zeros(20_000, dtype=int)) < 11)
        True
    """
    pieces = np.split(values, np.flatnonzero(np.diff(walks)) + 1)
    longest = max(map(len, pieces))
    products = np.zeros(longest)
    for piece in pieces:
        spectrum = np.fft.rfft(piece, 2 * len(piece))
        products[: len(piece)] += np.fft.irfft(spectrum * spectrum.conj())[: len(piece)]
    if products[0] <= 0:
        return 1.0
    times = 2 * np.cumsum(products / products[0]) - 1
    ends = np.flatnonzero(np.arange(longest) >= WINDOW * times)
    return float(max(times[ends[0] if len(ends) else -1], 1.0))


def kish_size(weights: np.ndarray) -> float:
    """(Σ w)² / Σ w²: how many samples of equal weight independent ones of these weights are worth.

    Source: Kish 1965, Survey Sampling.

    Example:
        >>> kish_size(np.array([3.0, 3.0, 3.0])), kish_size(np.array([1e200, 1.0, 1.0]))
        (3.0, 1.0)
    """
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled @ scaled))


def effective_size(chain: Chain) -> float:
    """How many independent samples the chain is worth, for the mean of its worst parameter."""
    return min(mean_of(column, chain).size for column in chain.x.T)


def _batches(walks: np.ndarray, time: float) -> np.ndarray:
    """The number of the batch of each row."""
    _, sizes = np.unique(walks, return_counts=True)
    rows = len(walks)
    length = max(math.isqrt(rows), math.ceil(TIMES * time))
    length = max(min(length, rows // FEWEST_BATCHES), 1)
    counts = np.maximum(sizes // length, 1)
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    each = [first + np.arange(size) * count // size for first, size, count in zip(firsts, sizes, counts, strict=True)]
    return np.concatenate(each)

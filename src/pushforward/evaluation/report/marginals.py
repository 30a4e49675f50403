"""The distribution of each column by itself, in rows and in draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency, ks_2samp, mood

from pushforward.evaluation.report.calibration import FEWEST_ROWS, tests_of
from pushforward.evaluation.report.contents import Estimate, Marginal
from pushforward.evaluation.report.coverage import ranks_among
from pushforward.evaluation.report.evidence import Evidence
from pushforward.table_models.model import TableModel

BINS, MOST_BARS = 40, 30
# Expected rows in a class of Pearson's test, at least; rarer values are taken together.
LEAST_EXPECTED = 5.0
# Values beyond these quantiles stand in the outermost bins.
OUTERMOST = 0.005
NOT_MADE = (math.nan, math.nan)


@dataclass(frozen=True)
class TestsOfMarginal:
    """What tests say of a column by itself.

    Attributes:
        shape: (statistic, p-value) of Kolmogorov and Smirnov, or (largest difference of shares, p-value) of Pearson.
        spread: (statistic, p-value) of Mood, or of the variance of normal scores; NaN for what has no order.
        spans: how wide the middle 90 % of rows and of draws is.
        middles: the same of the middle half.
        shift: median of the draws less that of the rows.
    """

    shape: tuple[float, float]
    spread: tuple[float, float]
    spans: tuple[float, float]
    middles: tuple[float, float]
    shift: float

    @classmethod
    def of(
        cls, rows: np.ndarray, draws: np.ndarray, shape: tuple[float, float], spread: tuple[float, float]
    ) -> TestsOfMarginal:
        """Tests of rows, (n,), and draws, (m,)."""
        shift = float(np.median(draws) - np.median(rows)) if len(rows) else math.nan
        return cls(shape, spread, _span(0.9, rows, draws), _span(0.5, rows, draws), shift)


def marginals(evidence: Evidence, seed: int) -> tuple[list[Marginal], dict[str, TestsOfMarginal]]:
    """Compare each modeled column of rows and of many draws by itself.

    Where all rows have one density, numbers are compared by the two-sample test of Kolmogorov and Smirnov and their
    spread by that of Mood; columns whose values all have probabilities by Pearson's. Rows that have conditions,
    measurement errors or gaps have densities of their own: each value is ranked among the draws of its own row, and
    ranks, made uniform by chance, are tested as the transforms of the calibration are.

    Arguments:
        evidence: rows and draws.
        seed: of the chance.

    Returns:
        Each column, whose `adjusted` is NaN until all tests of a report are corrected together; and the tests of each.
    """
    model, generator = evidence.model, np.random.default_rng(seed)
    found, tests = [], {}
    for place, name in enumerate(model.roles.modeled):
        rows, draws = evidence.features[:, place], evidence.many_draws[:, :, evidence.places[place]]
        gaps = [_share(np.isnan(part)) for part in (rows, draws[0])]
        present = ~np.isnan(rows)
        rows, draws = rows[present], draws[:, present]
        kind = model.schema[name]
        ordered = kind.measured and not kind.circular
        if evidence.alike:
            one = _against_all(rows, draws.ravel(), kind.discrete, ordered)
        else:
            one = _against_own(rows, draws, ordered, generator)
        tests[name] = one
        shares, (statistic, p_value) = _shares(model, name, rows, draws.ravel()), one.shape
        found.append(
            Marginal(name, len(rows), draws.size, *shares, gaps[0], gaps[1], statistic, p_value, adjusted=math.nan)
        )
    return found, tests


def _against_all(rows: np.ndarray, draws: np.ndarray, discrete: bool, ordered: bool) -> TestsOfMarginal:
    shape = two_samples(rows, draws, discrete)
    return TestsOfMarginal.of(rows, draws, shape, same_spread(rows, draws) if ordered else NOT_MADE)


def _against_own(rows: np.ndarray, draws: np.ndarray, ordered: bool, generator: np.random.Generator) -> TestsOfMarginal:
    """The tests of ranks of rows, (n,), among their own draws, (L, n)."""
    if len(rows) < FEWEST_ROWS:
        return TestsOfMarginal.of(rows, draws.ravel(), NOT_MADE, NOT_MADE)
    found = tests_of(ranks_among(rows, draws, generator))
    return TestsOfMarginal.of(rows, draws.ravel(), found.shape, found.spread if ordered else NOT_MADE)


def same_spread(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The statistic and the p-value of Mood's test of equal spread of two samples, (n,) and (m,).

    The statistic is the sum of squared distances of the ranks of the first from the middle of all, standardized: above
    0 where the first is wider.

    Source: Mood 1954, Annals of Mathematical Statistics 25, 514.

    Example:
        >>> a, b = np.random.default_rng(0).normal(size=(2, 2000))
        >>> same_spread(1.1 * a, b)[1] < 1e-3, same_spread(a, b)[1] > 1e-3
        (True, True)
    """
    if min(len(a), len(b)) < FEWEST_ROWS or np.ptp(np.concatenate([a, b])) == 0:
        return NOT_MADE
    found = mood(a, b)
    return float(found.statistic), float(found.pvalue)


def _span(share: float, *samples: np.ndarray) -> tuple[float, float]:
    """How wide the middle share of each of two samples is."""
    ends = [0.5 + 0.5 * share, 0.5 - 0.5 * share]
    first, second = (float(np.subtract(*np.quantile(part, ends))) if len(part) else math.nan for part in samples)
    return first, second


def _share(marked: np.ndarray) -> Estimate:
    share = float(marked.mean())
    return Estimate(share, math.sqrt(share * (1 - share) / len(marked)))


def two_samples(data: np.ndarray, draws: np.ndarray, discrete: bool) -> tuple[float, float]:
    """Statistic and p-value of two samples of a column, (n,) and (m,): Kolmogorov and Smirnov, or Pearson."""
    if not len(data) or not len(draws):
        return math.nan, math.nan
    if not discrete:
        found = ks_2samp(data, draws)
        return float(found.statistic), float(found.pvalue)
    counts = _classes(data, draws)
    shares = counts / counts.sum(1, keepdims=True)
    p_value = 1.0 if counts.shape[1] < 2 else float(chi2_contingency(counts, correction=False).pvalue)
    return float(np.abs(shares[0] - shares[1]).max()), p_value


def _classes(data: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """How many rows and draws have each value, (2, classes), rare values together."""
    levels = np.unique(np.concatenate([data, draws]))
    counts = np.stack([np.searchsorted(np.sort(part), levels, side="right") for part in (data, draws)])
    counts = np.diff(counts, axis=1, prepend=0)
    expected = counts.sum(0) * min(len(data), len(draws)) / (len(data) + len(draws))
    common = expected >= LEAST_EXPECTED
    rare = counts[:, ~common].sum(1, keepdims=True)
    return np.concatenate([counts[:, common], rare], 1) if rare.sum() else counts[:, common]


def _shares(
    model: TableModel, name: str, data: np.ndarray, draws: np.ndarray
) -> tuple[bool, list[float], list[str], list[float], list[float]]:
    """Whether there are bars, edges of bins, labels of bars, and the shares of rows and of draws."""
    both = np.concatenate([data, draws])
    levels = np.unique(both)
    if model.schema[name].discrete and 0 < len(levels) <= MOST_BARS:
        labels = [str(value) for value in texts_of(model, name, levels)]
        counts = [
            np.array([(part == level).mean() for level in levels]) if len(part) else np.zeros(len(levels))
            for part in (data, draws)
        ]
        return True, [], labels, counts[0].tolist(), counts[1].tolist()
    if not len(both):
        return False, [0.0, 1.0], [], [0.0], [0.0]
    low, high = np.quantile(both, [OUTERMOST, 1 - OUTERMOST])
    low, high = (low, high) if low < high else (float(both.min()) - 0.5, float(both.max()) + 0.5)
    edges = np.linspace(low, high, BINS + 1)
    shares = [np.histogram(np.clip(part, low, high), edges)[0] / max(1, len(part)) for part in (data, draws)]
    return False, edges.tolist(), [], shares[0].tolist(), shares[1].tolist()


def texts_of(model: TableModel, name: str, codes: np.ndarray) -> list[str]:
    """The values that codes of a column stand for, as texts; "" for a gap."""
    values = model.decode(np.asarray(codes, dtype=np.float64)[:, None], columns=[name]).column(0).to_pylist()
    return [text_of(value) for value in values]


def text_of(value: object) -> str:
    """A value for people.

    Example:
        >>> text_of(1234567.891), text_of(None), text_of("a")
        ('1.23457e+06', '', 'a')
    """
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

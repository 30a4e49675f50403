"""The distribution of each column by itself, in rows and in draws."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi2_contingency, ks_2samp

from pushforward.evaluation.report.contents import Estimate, Marginal
from pushforward.evaluation.report.correction import holm
from pushforward.evaluation.report.evidence import Evidence
from pushforward.table_models.model import TableModel

BINS, MOST_BARS = 40, 30
# Expected rows in a class of Pearson's test, at least; rarer values are taken together.
LEAST_EXPECTED = 5.0
# Values beyond these quantiles stand in the outermost bins.
OUTERMOST = 0.005


def marginals(evidence: Evidence) -> list[Marginal]:
    """Compare each modeled column of rows and draws by itself.

    Numbers are compared by the two-sample test of Kolmogorov and Smirnov, columns whose values all have probabilities
    by Pearson's. Rows and draws that share conditions are not independent: they have no p-value, and the calibration
    of each column takes its place.
    """
    model = evidence.model
    found = []
    for place, name in enumerate(model.roles.modeled):
        data, draws = evidence.features[:, place], evidence.drawn_features[:, place]
        gaps = [_share(np.isnan(part)) for part in (data, draws)]
        data, draws = data[~np.isnan(data)], draws[~np.isnan(draws)]
        compared = two_samples(data, draws, model.schema[name].discrete)
        statistic, p_value = compared if not model.roles.conditioned else (compared[0], math.nan)
        found.append((name, _shares(model, name, data, draws), gaps, statistic, p_value))
    adjusted = holm([one[-1] for one in found])
    return [
        Marginal(name, *shares, gaps[0], gaps[1], statistic, p_value, float(of_all))
        for (name, shares, gaps, statistic, p_value), of_all in zip(found, adjusted, strict=True)
    ]


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

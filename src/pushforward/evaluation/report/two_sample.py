"""The classifier two-sample test: whether a classifier tells rows of a table from draws."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest, hypergeom

from pushforward.evaluation.report.contents import Estimate, TwoSample

# Of more rows the classifier takes too long.
MOST_ROWS = 10_000
FEWEST_ROWS = 50
# Of more columns the importance is not looked for.
MOST_COLUMNS = 60


def two_sample_test(
    data: np.ndarray, draws: np.ndarray, names: list[str], *, paired: bool, seed: int = 0
) -> TwoSample | None:
    """Ask a classifier that was trained on one half of rows and draws to tell the other half apart.

    Gradient boosting of trees is trained on a random half. Of the other half, the same number of rows and draws, those
    of the larger scores are called rows. Where rows and draws have one distribution, the number of right answers is
    hypergeometric: the p-value, one-sided and with half of the probability of the number found, is exact.

    Rows and draws that share conditions stay together in pairs. The one with the larger score is called the row, ties
    are halves, and the number of right answers is binomial.

    Arguments:
        data: (n, columns), NaN where a value is missing.
        draws: (n, columns).
        names: of the columns.
        paired: whether each draw shares the conditions of its row.
        seed: of the halves and the classifier, below 2^32.

    Returns:
        The accuracy, its p-value, and the columns by what the accuracy loses when each is shuffled; None with fewer
        than 50 rows.

    Source: Lopez-Paz and Oquab 2017, arXiv:1610.06545.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(2, 400, 1))
        >>> found = two_sample_test(rows[0], rows[1] + 2, ["x"], paired=False)
        >>> found.accuracy.value > 0.75, found.p_value < 1e-6
        (True, True)
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

    generator = np.random.default_rng(seed)
    order = generator.permutation(len(data))[:MOST_ROWS]
    data, draws = data[order], draws[order]
    half = len(data) // 2
    if half < FEWEST_ROWS // 2:
        return None
    classifier = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, min_samples_leaf=10, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):
        classifier.fit(np.concatenate([data[:half], draws[:half]]), np.repeat([1, 0], half))
        test, judge = (data[half:], draws[half:]), _Judge(classifier, paired, generator)
        right, count = judge.right(*test)
        lost = judge.lost(*test, right) if data.shape[1] <= MOST_COLUMNS else np.zeros(data.shape[1])
    accuracy = right / count
    p_value = _of_pairs(right, count) if paired else _of_halves(right, count)
    most = np.argsort(-lost, kind="stable")
    error = math.sqrt(max(accuracy * (1 - accuracy), 0.25 / count) / count)
    return TwoSample(
        Estimate(accuracy, error),
        p_value,
        len(data) - half,
        half,
        [names[place] for place in most],
        [float(lost[place]) for place in most],
    )


class _Judge:
    """Tells rows from draws by the scores of a classifier."""

    def __init__(self, classifier: object, paired: bool, generator: np.random.Generator) -> None:
        self.classifier, self.paired, self.generator = classifier, paired, generator

    def right(self, data: np.ndarray, draws: np.ndarray) -> tuple[float, int]:
        """The number of right answers, and of all: of pairs, or of rows and draws."""
        of_data, of_draws = (self.classifier.predict_proba(part)[:, 1] for part in (data, draws))  # type: ignore[attr-defined]
        if self.paired:
            return float((of_data > of_draws).sum() + 0.5 * (of_data == of_draws).sum()), len(data)
        # Ties are broken by chance.
        scores = np.concatenate([of_data, of_draws])
        order = np.lexsort([self.generator.random(len(scores)), scores])
        return 2.0 * float((order[len(draws) :] < len(data)).sum()), len(scores)

    def lost(self, data: np.ndarray, draws: np.ndarray, right: float) -> np.ndarray:
        """The accuracy lost when a column is shuffled, (columns,)."""
        found = np.zeros(data.shape[1])
        for column in range(data.shape[1]):
            shuffled = [data.copy(), draws.copy()]
            both = self.generator.permutation(np.concatenate([part[:, column] for part in shuffled]))
            shuffled[0][:, column], shuffled[1][:, column] = both[: len(data)], both[len(data) :]
            now, count = self.right(*shuffled)
            found[column] = (right - now) / count
        return found


def _of_halves(right: float, count: int) -> float:
    """P(a number above that of rows called so) + half of P(that number), where `count / 2` of `count` are called so."""
    called, half = round(right / 2), count // 2
    chance = hypergeom(count, half, half)
    return float(chance.sf(called) + 0.5 * chance.pmf(called))


def _of_pairs(right: float, count: int) -> float:
    whole = math.floor(right)
    above = binomtest(whole, count, 0.5, alternative="greater").pvalue
    more = binomtest(whole + 1, count, 0.5, alternative="greater").pvalue if whole < count else 0.0
    return float(more + 0.5 * (above - more))

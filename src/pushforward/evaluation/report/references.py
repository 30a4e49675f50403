"""Reference densities on the rows of a report: what a model has to be better than."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.errors import InputError
from pushforward.evaluation.baselines import mean_and_standard_error, mixture_log_likelihood
from pushforward.evaluation.report.contents import BaselineScore, Estimate
from pushforward.evaluation.report.evidence import Evidence
from pushforward.table_models.gaussian import gaussian_log_likelihood
from pushforward.tables.columns.base import Column, smoothed

FOLDS = 5
# Rows that a kernel density stands on, and a mixture is fitted to.
MOST_KERNELS, MOST_OF_MIXTURE = 4000, 5000
# Factors on the bandwidth of Scott.
FACTORS = (0.35, 0.6, 1.0)
# Of more columns a kernel density says nothing and takes long.
MOST_COLUMNS = 30
INDEPENDENT, GAUSSIAN, MIXTURE, KERNELS = "independent columns", "full Gaussian", "Gaussian mixture", "kernel density"


@dataclass(frozen=True, eq=False)
class References:
    """Log-densities of the rows under references.

    Attributes:
        log_prob: {name: (n,)}.
        details: {name: a few words}.
        note: how they were fitted, and which are missing.
    """

    log_prob: dict[str, np.ndarray]
    details: dict[str, str]
    note: str

    @property
    def best(self) -> str:
        """The name of the best one; "" if there is none."""
        return max(self.log_prob, key=lambda name: float(self.log_prob[name].mean()), default="")

    def scores(self, log_prob: np.ndarray) -> list[BaselineScore]:
        """The references, the best first, against the log-densities of a model, (n,)."""
        found = []
        for name, values in self.log_prob.items():
            nats, difference = (Estimate(*mean_and_standard_error(part)) for part in (values, log_prob - values))
            found.append(BaselineScore(name, nats, difference, self.details.get(name, "")))
        return sorted(found, key=lambda one: -one.nats.value)


def references(
    evidence: Evidence,
    train: np.ndarray | None,
    seed: int,
    report: Callable[[float], None] = lambda part: None,
) -> References:
    """Score the rows under a Gaussian, a mixture of Gaussians, a kernel density, and independent columns.

    They are fitted to training rows where these are given; else in five folds to the other rows of the report, so that
    no row is scored by a density that knows it. Columns whose values have a density, and no gaps, make up the joint
    references; all others stand beside them independently, with the smoothed frequencies of their values. Given
    columns with a density are conditions: p(columns | given) = p(columns, given) / p(given), by the same reference.

    Arguments:
        evidence: the rows.
        train: (m, names) codes of training rows, or None.
        seed: of the folds.
        report: is told the share that is done, from 0 to 1.
    """
    codes = evidence.codes
    fold = np.random.default_rng(seed).permutation(len(codes)) % FOLDS
    parts = [(codes[fold != k], fold == k) for k in range(FOLDS)] if train is None else [(train, fold >= 0)]
    found: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    details: dict[str, str] = {}
    for number, (known, scored) in enumerate(parts):
        one = _OfRows(evidence, known, codes[scored], seed)
        for name, score in one.scorers().items():
            if name in failed:
                continue
            try:
                values, details[name] = score()
            except (InputError, np.linalg.LinAlgError) as error:
                failed[name] = " ".join(str(error).split())
                continue
            found.setdefault(name, np.full(len(codes), np.nan))[scored] = values
        report((number + 1) / len(parts))
    good = {name: values for name, values in found.items() if name not in failed and np.isfinite(values).all()}
    fitted = (
        f"fitted in {FOLDS} folds to the other rows of the report"
        if train is None
        else f"fitted to {len(train):,} training rows"
    )
    missing = "".join(f"; {name}: {reason}" for name, reason in failed.items())
    return References(good, {name: details[name] for name in good}, f"References are {fitted}{missing}")


class _OfRows:
    """References that are fitted to some rows and score others."""

    def __init__(self, evidence: Evidence, known: np.ndarray, scored: np.ndarray, seed: int) -> None:
        model = evidence.model
        self.known, self.scored, self.seed = known, scored, seed
        self.kinds = {name: model.schema[name] for name in [*model.roles.modeled, *model.roles.conditioned]}
        self.place = {name: model.names.index(name) for name in self.kinds}
        self.dense = [name for name in model.roles.modeled if self._is_dense(name)]
        self.given = [name for name in model.roles.conditioned if self._is_dense(name)]
        self.others = [name for name in model.roles.modeled if name not in self.dense]

    def scorers(self) -> dict[str, Callable[[], tuple[np.ndarray, str]]]:
        """By name what gives the log-densities of the rows, (n,), and a few words."""
        found: dict[str, Callable[[], tuple[np.ndarray, str]]] = {INDEPENDENT: self._independent}
        if len(self.dense) + len(self.given) > 1 and self.dense:
            found[GAUSSIAN] = self._gaussian
        if self.dense:
            found[MIXTURE] = self._mixture
            if len(self.dense) + len(self.given) <= MOST_COLUMNS:
                found[KERNELS] = self._kernels
        return found

    def _is_dense(self, name: str) -> bool:
        kind, place = self.kinds[name], self.place[name]
        gaps = np.isnan(self.known[:, place]).any() or np.isnan(self.scored[:, place]).any()
        constant = self.known[:, place].min() == self.known[:, place].max()
        return not kind.has_probabilities and not gaps and not constant

    def _of(self, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
        return rows[:, [self.place[name] for name in names]]

    def _joint(self) -> tuple[np.ndarray, np.ndarray]:
        names = [*self.dense, *self.given]
        return self._of(self.known, names), self._of(self.scored, names)

    def _beside(self) -> np.ndarray:
        """The log-probabilities of the other columns, (n,)."""
        total = np.zeros(len(self.scored))
        for name in self.others:
            known, scored = (rows[:, self.place[name]] for rows in (self.known, self.scored))
            total += _of_column(self.kinds[name], known, scored, self.seed)
        return total

    def _independent(self) -> tuple[np.ndarray, str]:
        total = self._beside()
        for name in self.dense:
            known, scored = (rows[:, self.place[name]] for rows in (self.known, self.scored))
            total += _of_numbers(known, scored, self.seed)
        return total, "a mixture of Gaussians for each column with a density"

    def _gaussian(self) -> tuple[np.ndarray, str]:
        known, scored = self._joint()
        found = gaussian_log_likelihood(known, scored)
        if self.given:
            features = len(self.dense)
            found = found - gaussian_log_likelihood(known[:, features:], scored[:, features:])
        return found + self._beside(), "linear regression" if self.given else ""

    def _mixture(self) -> tuple[np.ndarray, str]:
        known, scored = self._joint()
        options = {"seed": self.seed, "maximum_rows": MOST_OF_MIXTURE, "features": len(self.dense)}
        found, components = mixture_log_likelihood(known, scored, **options)  # type: ignore[arg-type]
        return found + self._beside(), f"{components} component{'s' if components > 1 else ''}, by BIC"

    def _kernels(self) -> tuple[np.ndarray, str]:
        known, scored = self._joint()
        found, factor = _kernel_density(known, scored, len(self.dense), self.seed)
        return found + self._beside(), f"Gaussian kernels, {factor:g} times the bandwidth of Scott"


def _kernel_density(known: np.ndarray, scored: np.ndarray, features: int, seed: int) -> tuple[np.ndarray, float]:
    """log p(features | other columns) by Gaussian kernels, and the factor on their bandwidth, by held-out rows."""
    from scipy.stats import gaussian_kde

    generator = np.random.default_rng(seed)
    known = known[generator.permutation(len(known))[:MOST_KERNELS]]
    held_out = len(known) // 5

    def score(rows: np.ndarray, at: np.ndarray, factor: float) -> np.ndarray:
        scott = len(rows) ** (-1.0 / (rows.shape[1] + 4))
        whole = gaussian_kde(rows.T, bw_method=scott * factor)
        value: np.ndarray = whole.logpdf(at.T)
        if features < rows.shape[1]:
            value = value - whole.marginal(np.arange(features, rows.shape[1])).logpdf(at[:, features:].T)
        return value

    def gained(factor: float) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(score(known[held_out:], known[:held_out], factor).mean())
        return value if np.isfinite(value) else -np.inf

    best = max(FACTORS, key=gained)
    return score(known, scored, best), best


def _of_column(kind: Column, known: np.ndarray, scored: np.ndarray, seed: int) -> np.ndarray:
    """log p of the values of one column, (n,): 0 for gaps, frequencies of what has a probability, else a density."""
    known, present = known[~np.isnan(known)], ~np.isnan(scored)
    values, found = scored[present], np.zeros(present.sum())
    if not len(known):
        return np.zeros(len(scored))
    mass = kind.has_probability(values)
    of_known = kind.has_probability(known)
    if mass.any():
        levels = np.unique(np.concatenate([known[of_known], values[mass]]))
        counts = np.array([(known == level).sum() for level in levels])
        shares = np.array(smoothed(counts)) * (max(1, of_known.sum()) / (len(known) + 1))
        found[mass] = np.log(shares[np.searchsorted(levels, values[mass])])
    if (~mass).any():
        share = max(1, (~of_known).sum()) / (len(known) + 1)
        found[~mass] = np.log(share) + _of_numbers(known[~of_known], values[~mass], seed)
    whole = np.zeros(len(scored))
    whole[present] = found
    return whole


def _of_numbers(known: np.ndarray, scored: np.ndarray, seed: int) -> np.ndarray:
    """log p of numbers, (n,), by a mixture of Gaussians in one dimension."""
    options = {"seed": seed, "maximum_rows": MOST_OF_MIXTURE, "components": (1, 2, 4, 8)}
    return mixture_log_likelihood(known[:, None], scored[:, None], **options)[0]  # type: ignore[arg-type]

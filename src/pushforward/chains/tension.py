"""Whether two posteriors of the same parameters agree: the probability of a parameter shift."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from scipy import stats

from pushforward.chains.chain import Chain
from pushforward.chains.density import fit_density, log_prob
from pushforward.chains.doubts import LARGE_SHARE, doubts_of, notes_of, shared_share
from pushforward.chains.options import Options, split_options
from pushforward.chains.reading import both_alike
from pushforward.chains.uncertainty import effective_size, mean_of
from pushforward.evaluation.report.contents import Estimate, as_json
from pushforward.flow import Flow
from pushforward.support.wording import percent

# Differences that a density is fitted to, and those of which it is asked whether they are denser than no shift.
MOST_PAIRS, MOST_COMPARED, PARTNERS = 20_000, 100_000, 20
# P(nothing beyond) of this many events expected is 1 - 68.3%.
NONE_SEEN = -math.log(2 * stats.norm.sf(1))


@dataclass(frozen=True)
class Tension:
    """How far two posteriors are from agreement.

    Attributes:
        probability: P(shift): the probability of the differences that are denser than no difference.
        sigmas: of a normal variable that lies within so many deviations with this probability.
        sigmas_low: lower end of the 68% interval of `sigmas`.
        sigmas_high: upper end; infinite where no difference was seen that is less dense than none.
        gaussian_sigmas: the same of Gaussians with the means and covariances of the chains, for comparison.
        effective_sizes: how many independent samples each chain is worth.
        warnings: why a number is not to be trusted, in sentences.
        notes: of the sources of the chains.
    """

    probability: Estimate
    sigmas: float
    sigmas_low: float
    sigmas_high: float
    gaussian_sigmas: float
    effective_sizes: tuple[float, float]
    warnings: list[str]
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """What was found, for people."""
        if math.isinf(self.sigmas):
            said = [f"The posteriors differ by more than {self.sigmas_low:.2f} sigmas."]
        else:
            between = f"{self.sigmas_low:.2f} to {self.sigmas_high:.2f}"
            said = [f"The posteriors differ by {self.sigmas:.2f} sigmas ({between}), P(shift) = {self.probability}."]
        if math.isfinite(self.gaussian_sigmas):
            said.append(f"As Gaussians they would differ by {self.gaussian_sigmas:.2f} sigmas.")
        else:
            said.append("As Gaussians they would differ by more sigmas than float64 can tell, above 37.")
        return [*said, *(f"Warning: {one}" for one in self.warnings), *self.notes]

    def to_json(self) -> str:
        """The result as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def tension(a: Any, b: Any, **options: Unpack[Options]) -> Tension:
    """The probability of a shift between the parameters of two independent posteriors, and its sigmas.

    P = ∫ q(δ) over q(δ) > q(0), q the density of differences δ = θ_A - θ_B of independent draws. A flow is fitted to
    differences of one half of each chain, and the share of denser differences is counted in the other halves, which are
    independent of it; then the halves change their parts, and the mean is taken.

    Arguments:
        a: what `pushforward.read_chain` takes.
        b: another one, of data that are independent of those of A.
        options: how the chains are read, `ChainOptions`, of which `columns` chooses shared parameters, and the density
            fitted, `FitOptions`.

    Returns:
        The result: `found.sigmas`, `found.probability`, `found.warnings`, `found.sentences`, `found.to_json()`. The
        error of the probability is that of the samples, with their autocorrelation, and that of the fits: of means and
        covariances, or half of the difference of the two fits where that is more.

    Raises:
        InputError: a chain that cannot be read, or chains of different parameters.

    Cost: two fits of a flow.

    Source: Raveri and Doux 2021, arXiv:2105.03324.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> a, b = generator.normal(size=(4000, 1)), generator.normal(2.0, 1.0, size=(4000, 1))
        >>> found = tension(a, b, flow="gaussian")  # 2 / √2 = 1.41
        >>> found.sigmas_low - 0.1 < 1.41 < found.sigmas_high + 0.1
        True
    """
    reading, fitting = split_options(options)
    seed = fitting.get("seed", 0)
    first, second = both_alike(a, b, **reading)
    for chain in (first, second):
        chain.check_density()
    generator = np.random.default_rng(seed)
    halves = [chain.halves(seed) for chain in (first, second)]
    shares, errors = [], []
    for fitted in (0, 1):
        fit_a, fit_b = (chain.rows(half[fitted]) for chain, half in zip((first, second), halves, strict=True))
        other_a, other_b = (chain.rows(half[1 - fitted]) for chain, half in zip((first, second), halves, strict=True))
        pairs = _pairs(fit_a, fit_b, generator)
        flow = fit_density(pairs, np.arange(len(pairs)), **fitting)
        share, error = _denser(flow, other_a, other_b, generator)
        shares.append(min(share, 1.0))
        errors.append(error)
    probability = min(float(np.mean(shares)), 1.0)
    of_fit = max(_error_of_place(first, second, probability), abs(shares[0] - shares[1]) / 2)
    error = math.hypot(math.hypot(*errors) / 2, of_fit)
    sizes = effective_size(first), effective_size(second)
    least = 1 - NONE_SEEN / min(sizes) if probability >= 1 else probability - error
    most = 1.0 if probability >= 1 else min(probability + error, 1.0)
    warnings = [*doubts_of(first, "A"), *doubts_of(second, "B")]
    if (shared := shared_share(first, second)) > LARGE_SHARE:
        whole = (
            "A and B are the same samples"
            if shared == 1 == shared_share(second, first)
            else (f"{percent(shared)} of the rows of A are rows of B, too")
        )
        warnings.append(f"{whole}: they are not of independent data, and P(shift) says nothing.")
    if probability >= 1:
        warnings.append("every difference seen is denser than a difference of 0: the sigmas are a lower limit.")
    elif error > 0.5 * (1 - probability):
        warnings.append("few differences seen are less dense than a difference of 0: the interval is rough.")
    return Tension(
        Estimate(probability, error), sigmas_of(probability), sigmas_of(max(least, 0.0)), sigmas_of(most),
        _gaussian_sigmas(first, second), sizes, warnings, notes_of(first, second),
    )  # fmt: skip


def sigmas_of(probability: float) -> float:
    """n such that a normal variable lies within n deviations of its mean with a probability.

    Example:
        >>> round(sigmas_of(0.9545), 3)
        2.0
    """
    return float(stats.norm.isf((1 - probability) / 2))


def _pairs(a: Chain, b: Chain, generator: np.random.Generator) -> Chain:
    """Differences of draws of two chains, by their weights, as independent rows."""
    count = min(max(len(a), len(b)), MOST_PAIRS)
    x = _drawn(a, count, generator) - _drawn(b, count, generator)
    unbounded = np.full(x.shape[1], np.inf)
    return dataclasses.replace(
        a, x=x, weights=np.ones(count), log_posterior=None, low=-unbounded, high=unbounded,
        walks=np.zeros(count, dtype=int), independent=True,
    )  # fmt: skip


def _drawn(chain: Chain, count: int, generator: np.random.Generator) -> np.ndarray:
    return chain.x[generator.choice(len(chain), count, p=chain.weights / chain.weights.sum())]


def _denser(flow: Flow, a: Chain, b: Chain, generator: np.random.Generator) -> tuple[float, float]:
    """The share of differences that are denser than none, and its error by the batches of both chains."""
    at_none = float(log_prob(flow, np.zeros((1, a.x.shape[1])))[0])
    found = []
    for chain, other, sign in ((a, b, 1.0), (b, a, -1.0)):
        partners = max(1, min(PARTNERS, MOST_COMPARED // len(chain)))
        drawn = _drawn(other, len(chain) * partners, generator)
        differences = sign * (np.repeat(chain.x, partners, axis=0) - drawn)
        denser = (log_prob(flow, differences) > at_none).reshape(len(chain), partners)
        found.append(mean_of(denser.mean(1), chain))
    return float(np.mean([one.value for one in found])), math.hypot(*(one.error for one in found))


def _shift(a: Chain, b: Chain) -> tuple[np.ndarray, np.ndarray]:
    """The difference of the means, (D,), and C⁻¹ times it, C the sum of the covariances."""
    shift = np.average(a.x, axis=0, weights=a.weights) - np.average(b.x, axis=0, weights=b.weights)
    covariance = sum(np.atleast_2d(np.cov(chain.x, rowvar=False, aweights=chain.weights)) for chain in (a, b))
    return shift, np.linalg.solve(covariance, shift)


def _error_of_place(a: Chain, b: Chain, probability: float) -> float:
    """The error of the probability because means and covariances, and with them the place of no shift, have errors.

    It is that of Gaussians, by the influence of each row on their distance r, r² = shiftᵀ C⁻¹ shift.
    """
    shift, direction = _shift(a, b)
    distance = math.sqrt(float(shift @ direction))
    # Where there is no shift at all, any direction will do.
    along = (
        direction / distance if distance > 0 else np.eye(len(shift))[0] / math.sqrt(a.x[:, 0].var() + b.x[:, 0].var())
    )
    errors = []
    for chain, sign in ((a, 1.0), (b, -1.0)):
        place = (chain.x - np.average(chain.x, axis=0, weights=chain.weights)) @ along
        errors.append(mean_of(sign * place - 0.5 * distance * place**2, chain).error)
    error = math.hypot(*errors)
    # Within its error of 0 the distance has no slope that counts.
    r = max(math.sqrt(float(stats.chi2.ppf(min(probability, 1 - 1e-12), len(shift)))), error)
    return 2 * r * float(stats.chi2.pdf(r**2, len(shift))) * error


def _gaussian_sigmas(a: Chain, b: Chain) -> float:
    """The sigmas of the shift of the means, by the sum of the covariances."""
    shift, direction = _shift(a, b)
    square = float(shift @ direction)
    # From the probability beyond, which has digits where that within is 1.
    return float(stats.norm.isf(stats.chi2.sf(square, len(shift)) / 2))

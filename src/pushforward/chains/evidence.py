"""The evidence, Z = ∫ likelihood · prior, from the samples of a posterior."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch

from pushforward.chains.chain import Chain
from pushforward.chains.density import draws, fit_density, latent_and_log_det, log_normal
from pushforward.chains.doubts import doubts_of
from pushforward.chains.options import Options, split_options
from pushforward.chains.reading import read_chain
from pushforward.chains.uncertainty import effective_size, mean_of
from pushforward.chains.weighing import LogEstimate, log_mean, tail_shape
from pushforward.errors import InputError
from pushforward.evaluation.report.contents import Estimate, as_json
from pushforward.flow import Flow
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted, nats, option, with_minus

# The variances by which the base is scaled, of which rows that are not trained on choose one; from this Pareto k on
# weights have no variance.
TEMPERATURES = (0.5, 0.65, 0.8, 0.9, 0.95)
LARGEST_TAIL = 0.5
DRAWS = 20_000
# Draws that look for probability beyond all samples, and the share of it that is told.
LEAKING_DRAWS, LARGEST_LEAK = 5_000, 0.01
# A density that varies by less, in nats for each square root of a parameter, may be uniform; a Gaussian has 0.71.
LEAST_VARIED, LEAST_CORRELATION = 0.5, 0.3
# Rows at which the target is compared with the log-posterior, and the difference in nats that is told.
COMPARED_ROWS, SMALL_DIFFERENCE = 1000, 0.1
ITERATIONS, TOLERANCE = 1000, 1e-10


@dataclass(frozen=True)
class Evidence:
    """The logarithm of an evidence, by one method or three.

    Attributes:
        log_evidence: by bridge sampling where the target could be called, else by the reciprocal estimator.
        method: "bridge" or "reciprocal".
        reciprocal: from the samples alone.
        importance: from draws of the fitted density; None without a target.
        bridge: from both; None without a target.
        temperature: the variance of the base of the density inside the posterior.
        rows: of the chain, and of these the ones of the fit and of the estimate.
        effective_size: how many independent samples the chain is worth.
        warnings: why the error is not to be trusted, in sentences.
        notes: of the source of the chain.
    """

    log_evidence: Estimate
    method: str
    reciprocal: LogEstimate
    importance: LogEstimate | None
    bridge: LogEstimate | None
    temperature: float
    rows: tuple[int, int, int]
    effective_size: float
    warnings: list[str]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """What was found, for people."""
        said = [f"log Z = {self.log_evidence} nats, by the {self.method} estimator."]
        for name in ("reciprocal", "importance", "bridge"):
            found: LogEstimate | None = getattr(self, name)
            if found is not None:
                said.append(
                    f"{name}: {Estimate(found.value, found.error)}, "
                    f"{counted(round(found.effective_size), 'effective sample')}, "
                    f"Pareto k {with_minus(f'{found.pareto_k:.2f}')}."
                )
        worth = counted(round(self.effective_size), "independent sample")
        said.append(f"The chain's {counted(self.rows[0], 'row')} are worth {worth}.")
        return [*said, *(f"Warning: {one}" for one in self.warnings), *self.notes]

    def to_json(self) -> str:
        """The result as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def evidence(
    chain: Any,
    *,
    log_density: Callable[[torch.Tensor], Any] | None = None,
    **options: Unpack[Options],
) -> Evidence:
    """The logarithm of the evidence Z from samples θ of a posterior p(θ) = p̃(θ) / Z, with their log p̃(θ).

    From the samples alone, 1 / Z = E_p[φ(θ) / p̃(θ)] for every density φ inside the posterior: φ is a flow fitted to one
    half of the chain, with the variance of its base scaled by a temperature below 1, so that its tails are lighter than
    those of p; the mean is over the other half. With `log_density`, Z = E_q[p̃(x) / q(x)] over draws of the flow q, and
    bridge sampling of both, which has the least error.

    Arguments:
        chain: what `pushforward.read_chain` takes, with a log-posterior: that of the sampled parameters, with the
            normalized prior, since Z has the constant that is left out.
        log_density: log p̃ of parameters, (m, D) float64 tensor in the order of `chain.names`, to (m,); default none.
        options: how the chain is read, `ChainOptions`, and its density fitted, `FitOptions`.

    Returns:
        The result: `found.log_evidence`, `found.bridge`, `found.warnings`, `found.sentences`, `found.to_json()`.

    Raises:
        InputError: a chain that cannot be read, without a log-posterior, or of fewer than 100 rows.

    Cost: one fit of a flow; the target at as many points as half of the rows, and at 1,000 of these.

    Source: Polanska et al. 2023, arXiv:2307.00048, of the reciprocal estimator (harmonic; McEwen et al. 2021,
    arXiv:2111.12720); Meng and Wong 1996 of bridge sampling.

    Example:
        >>> import pyarrow as pa
        >>> x = np.random.default_rng(0).normal(size=(4000, 2))
        >>> table = pa.table({"a": x[:, 0], "b": x[:, 1], "log_posterior": -0.5 * (x**2).sum(1)})
        >>> found = evidence(table, flow="gaussian")
        >>> abs(found.log_evidence.value - math.log(2 * math.pi)) < 5 * found.log_evidence.error < 0.1
        True
    """
    reading, fitting = split_options(options)
    seed = fitting.get("seed", 0)
    whole = read_chain(chain, **reading)
    if whole.log_posterior is None and whole.density_of:
        raise InputError(
            "An evidence needs the log-posterior of every sample, and that of the chain is of "
            f"{_listed(whole.density_of)} together, not of {_listed(whole.names)}: leave out {option('columns')}."
        )
    if whole.log_posterior is None:
        raise InputError(
            "An evidence needs the log-posterior of every sample, of all parameters together: name its column with "
            f"{option('log_posterior')}, or those of its parts with --log-likelihood and --log-prior."
        )
    whole.check_density()
    first, second = whole.halves(seed)
    flow = fit_density(whole, first, **fitting)
    estimated = whole.rows(second)
    temperature = _temperature(flow, whole.rows(whole.training_parts(first, seed)[1]))
    reciprocal = log_mean(_log_ratio(flow, estimated, temperature), estimated, sign=-1)
    warnings = [*doubts_of(whole, "the chain"), *_leaks(flow, whole, temperature, seed), *_follows(flow, estimated)]
    importance = bridge = None
    if log_density is not None:
        warnings += _differs(log_density, estimated)
        importance, bridge = _with_target(flow, estimated, log_density, seed)
    best, method = (reciprocal, "reciprocal") if bridge is None else (bridge, "bridge")
    if best.warnings:
        warnings.append(f"the error of the {method} estimator is not to be trusted: {', and '.join(best.warnings)}.")
    if bridge is not None and abs(bridge.value - reciprocal.value) > 4 * math.hypot(bridge.error, reciprocal.error):
        warnings.append("the estimators differ by more than four of their errors.")
    return Evidence(
        Estimate(best.value, best.error), method, reciprocal, importance, bridge, temperature,
        (len(whole), len(first), len(second)), effective_size(whole), warnings, whole.notes,
    )  # fmt: skip


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(quoted, names[:most])) + (", ..." if len(names) > most else "")


def _log_ratio(flow: Flow, chain: Chain, temperature: float) -> np.ndarray:
    """log φ(θ) - log p̃(θ) of the rows."""
    assert chain.log_posterior is not None
    z, log_det = latent_and_log_det(flow, chain.x)
    return log_normal(z, temperature) + log_det - chain.log_posterior


def _temperature(flow: Flow, chain: Chain) -> float:
    """The temperature of the least relative variance among rows, of those that leave the weights light tails."""
    assert chain.log_posterior is not None
    z, log_det = latent_and_log_det(flow, chain.x)
    variances = []
    for temperature in TEMPERATURES:
        log_ratio = log_normal(z, temperature) + log_det - chain.log_posterior
        ratio = np.exp(log_ratio - log_ratio.max())
        mean = np.average(ratio, weights=chain.weights)
        variance = float(np.average((ratio / mean - 1) ** 2, weights=chain.weights))
        heavy = tail_shape(log_ratio + np.log(chain.weights)) > LARGEST_TAIL and temperature > TEMPERATURES[0]
        variances.append(math.inf if heavy else variance)
    return TEMPERATURES[int(np.argmin(variances))]


def _leaks(flow: Flow, chain: Chain, temperature: float, seed: int) -> list[str]:
    """A warning where φ has probability beyond all samples: as beyond an end of the prior that nobody named."""
    x, _ = draws(flow, LEAKING_DRAWS, seed, temperature)
    outside = (x < chain.x.min(0)) | (x > chain.x.max(0))
    share = float(outside.any(1).mean())
    # Beyond the outermost of so many samples there is as much of the posterior itself.
    expected = 2 * chain.x.shape[1] / max(effective_size(chain), 1.0)
    if share <= LARGEST_LEAK + 3 * expected:
        return []
    name = chain.names[int(outside.mean(0).argmax())]
    return [
        f"{share:.1%} of the fitted density lies beyond all samples, most of all of {name}: does its prior end there? "
        f"Then give its bounds; log Z is too large by up to {-math.log1p(-min(share, 0.999)):.2g}."
    ]


def _follows(flow: Flow, chain: Chain) -> list[str]:
    """A warning where the log-posterior does not rise and fall with the density of the samples."""
    assert chain.log_posterior is not None
    log_q = _log_ratio(flow, chain, 1.0) + chain.log_posterior
    both = np.cov(log_q, chain.log_posterior, aweights=chain.weights)
    deviations = np.sqrt(both.diagonal())
    # Samples of nearly equal density, as of a uniform one, say nothing of it.
    if deviations[0] < LEAST_VARIED * math.sqrt(chain.x.shape[1]):
        return []
    correlation = both[0, 1] / (deviations[0] * deviations[1]) if deviations[1] > 0 else 0.0
    if correlation >= LEAST_CORRELATION:
        return []
    sign = "; is its sign the right one" if correlation < -LEAST_CORRELATION else "; is it that of these samples"
    return [
        "the log-posterior does not rise and fall with the density of the samples (correlation "
        f"{with_minus(f'{correlation:.2f}')}){sign}?"
    ]


def _called(log_density: Callable[[torch.Tensor], Any], x: np.ndarray) -> np.ndarray:
    """The target at points."""
    with torch.no_grad():
        found = np.asarray(log_density(torch.from_numpy(x)), dtype=np.float64)
    if found.shape != (len(x),):
        raise InputError(f"log_density gave an array of shape {found.shape} for {len(x)} points; it gives ({len(x)},).")
    return found


def _differs(log_density: Callable[[torch.Tensor], Any], chain: Chain) -> list[str]:
    """A warning where the target and the log-posterior of the samples differ, by a constant or not."""
    rows = chain.rows(np.unique(np.linspace(0, len(chain) - 1, COMPARED_ROWS).astype(int)))
    assert rows.log_posterior is not None
    difference = _called(log_density, rows.x) - rows.log_posterior
    if not np.isfinite(difference).all():
        count = int((~np.isfinite(difference)).sum())
        return [f"log_density is not a finite number at {counted(count, 'sample')} of {len(rows):,}."]
    low, middle, high = np.quantile(difference, [0.05, 0.5, 0.95])
    if high - low > max(SMALL_DIFFERENCE, SMALL_DIFFERENCE * abs(middle)):
        said = f"by {nats(low)} to {nats(high)} nats, not by a constant: it is another density"
    elif abs(middle) > SMALL_DIFFERENCE:
        said = f"by {nats(middle)} nats, a constant that log Z of the reciprocal estimator does not have"
    else:
        return []
    return [f"log_density differs from the log-posterior of the samples {with_minus(said)}."]


def _with_target(
    flow: Flow, chain: Chain, log_density: Callable[[torch.Tensor], Any], seed: int
) -> tuple[LogEstimate, LogEstimate]:
    """The importance and the bridge estimate."""
    count = min(DRAWS, max(len(chain), 1000))
    x, log_q = draws(flow, count, seed)
    target = _called(log_density, x)
    if np.isnan(target).any() or (target == np.inf).any():
        raise InputError("log_density is NaN or infinite at a draw; where the density is 0 its logarithm is -inf.")
    importance = log_mean(target - log_q, None)
    if not math.isfinite(importance.value):
        return importance, importance
    return importance, _bridge(target - log_q, _log_ratio(flow, chain, 1.0), chain, importance)


def _bridge(of_draws: np.ndarray, of_samples: np.ndarray, chain: Chain, start: LogEstimate) -> LogEstimate:
    """log Z = log E_q[p̃ h] - log E_p[q h], h = 1 / (s₁ p̃ / Z + s₂ q), Z by iteration.

    Arguments:
        of_draws: log p̃ - log q of draws of q.
        of_samples: log q - log p̃ of the rows of the chain.
        chain: with these rows.
        start: of the iteration.
    """
    independent = max(mean_of(of_samples, chain).size, 1.0)
    log_samples, log_draws = (math.log(count / (independent + len(of_draws))) for count in (independent, len(of_draws)))
    log_z = start.value
    weights = np.log(chain.weights / chain.weights.sum())

    def logarithms(log_z: float) -> tuple[np.ndarray, np.ndarray]:
        top = of_draws - np.logaddexp(log_samples + of_draws - log_z, log_draws)
        bottom = of_samples - np.logaddexp(log_samples - log_z, log_draws + of_samples)
        return top, bottom

    for _ in range(ITERATIONS):
        top, bottom = logarithms(log_z)
        new = float(np.logaddexp.reduce(top)) - math.log(len(top)) - float(np.logaddexp.reduce(bottom + weights))
        done, log_z = abs(new - log_z) < TOLERANCE, new
        if done:
            break
    top, bottom = logarithms(log_z)
    parts = log_mean(top, None), log_mean(bottom, chain)
    error = math.hypot(parts[0].error, parts[1].error)
    doubts = tuple(dict.fromkeys(one for part in parts for one in part.warnings))
    found = LogEstimate(log_z, error, min(part.effective_size for part in parts), math.nan, doubts)
    return dataclasses.replace(found, pareto_k=max(part.pareto_k for part in parts))

"""Entropy, divergence and mutual information, from samples alone: by densities fitted to one half of a chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from pushforward.chains.chain import Chain
from pushforward.chains.density import FitOptions, fit_density, latent_and_log_det, log_normal, log_prob
from pushforward.chains.doubts import LARGE_SHARE, doubts_of, notes_of, shared_share
from pushforward.chains.neighbors import latent_gap
from pushforward.chains.options import Options, split_options
from pushforward.chains.reading import both_alike, read_chain
from pushforward.chains.uncertainty import mean_of
from pushforward.chains.weighing import log_mean
from pushforward.errors import InputError
from pushforward.evaluation.report.contents import Estimate, as_json
from pushforward.flow import Flow
from pushforward.support.suggestions import quoted
from pushforward.support.wording import percent

# A gap that is larger than this and than twice its error is told.
LARGE_GAP = 0.1


@dataclass(frozen=True)
class Entropy:
    """An upper bound of an entropy, and how far above the entropy it may be.

    Attributes:
        bound: E_p[-log q] in nats, the cross-entropy of the fitted density q; it is H(p) + KL(p‖q).
        gap: KL(p‖q) by the nearest neighbors of latent points; the entropy is near the bound less this.
    """

    bound: Estimate
    gap: Estimate


@dataclass(frozen=True)
class Information:
    """What samples say of the information in their densities, in nats.

    Attributes:
        entropy: of the first chain.
        entropy_b: of the second chain; None if there is none.
        divergence: KL(A‖B), a lower bound with its error; None without a second chain.
        divergence_is_bound: whether it is; else it is E_A[log q_A - log q_B], of the fitted densities.
        mutual_information: of the groups, Σ H(group) - H(all); None without groups.
        mutual_information_gap: how much too small it may be: the gap of the joint density less those of the groups.
        groups: of the parameters.
        warnings: why a number is not to be trusted, in sentences.
        notes: of the sources of the chains.
    """

    entropy: Entropy
    entropy_b: Entropy | None = None
    divergence: Estimate | None = None
    mutual_information: Estimate | None = None
    mutual_information_gap: Estimate | None = None
    groups: list[list[str]] = field(default_factory=list)
    divergence_is_bound: bool = True
    warnings: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """What was found, for people."""
        said = []
        for name, one in (("", self.entropy), (" of B", self.entropy_b)):
            if one is not None:
                seen = f"by nearest neighbors it is lower by about {one.gap}" if _seen(one.gap) else _unseen(one.gap)
                said.append(f"The entropy{name} is at most {one.bound} nats (cross-entropy of held-out rows); {seen}.")
        if self.divergence is not None:
            said.append(f"KL(A‖B) = {self.divergence} nats{self._what_divergence()}.")
        if self.mutual_information is not None:
            between = " and ".join(", ".join(map(quoted, group)) for group in self.groups)
            gap = self.mutual_information_gap
            assert gap is not None
            far = f"by nearest neighbors it is too {'small' if gap.value > 0 else 'large'} by about"
            seen = f"{far} {Estimate(abs(gap.value), gap.error)}" if _seen(gap) else _unseen(gap)
            said.append(f"The mutual information of {between} is {self.mutual_information} nats; {seen}.")
        return [*said, *(f"Warning: {one}" for one in self.warnings), *self.notes]

    def _what_divergence(self) -> str:
        """What kind of a number the divergence is."""
        assert self.divergence is not None
        if self.divergence.value == 0 or math.isinf(self.divergence.value):
            return ""
        if self.divergence_is_bound:
            return ", a lower bound where the densities miss something"
        return ", the mean difference of the two fitted log-densities over A, which is not a bound"

    def to_json(self) -> str:
        """The result as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def _seen(gap: Estimate) -> bool:
    """Whether a gap is more than its error makes of none."""
    return abs(gap.value) > 2 * gap.error


def _unseen(gap: Estimate) -> str:
    return f"nearest neighbors see no difference from it beyond their error ({gap})"


def information(
    a: Any,
    b: Any = None,
    *,
    groups: Sequence[Sequence[str]] | None = None,
    **options: Unpack[Options],
) -> Information:
    """Entropy, and the divergence from another chain or the mutual information of groups of parameters.

    Densities q are fitted to one half of a chain and evaluated on the other: H(p) ≤ E_p[-log q], by KL(p‖q); KL(A‖B) ≥
    E_A[T] - log E_B[exp T] with T = log q_A - log q_B, equal where both are exact (where weights exp T of the samples
    of B are not usable, the divergence is E_A[T], not a bound); and I = E[log q(all) - Σ log q(group)]. Errors are
    those of the means, with the autocorrelation of the chains; errors of the densities enter in
    the second order. What a fitted density misses is estimated by the gap: KL(p‖q) is that of latent points from the
    normal density, which nearest neighbors see where a bias of theirs cancels.

    Arguments:
        a: what `pushforward.read_chain` takes.
        b: a chain of the same parameters, for the divergence KL(A‖B); default none.
        groups: two or more groups of different parameters of A, for their mutual information; default none.
        options: how the chains are read, `ChainOptions`, and their densities fitted, `FitOptions`.

    Returns:
        The result: `found.entropy.bound`, `found.divergence`, `found.warnings`, `found.sentences`, `found.to_json()`.

    Raises:
        InputError: a chain that cannot be read, chains of different parameters, or groups that share one.

    Cost: one fit for each chain and each group.

    Source: Donsker and Varadhan 1975 of the lower bound; Kozachenko and Leonenko 1987 of nearest neighbors; Ao and Li
    2022 (AAAI) of these in the latent space of a flow.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4000, 2))
        >>> found = information(x, x + [1.0, 0.0], flow="gaussian")  # 1 / 2, and log 2πe = 2.84
        >>> abs(found.divergence.value - 0.5) < 0.1, abs(found.entropy.bound.value - 2.84) < 0.1
        (True, True)
    """
    reading, fitting = split_options(options)
    if groups is None:
        if b is None:
            fitted = _Fitted(read_chain(a, **reading), fitting)
            return Information(fitted.entropy(), warnings=fitted.warnings("the chain"), notes=fitted.chain.notes)
        return _of_two(*both_alike(a, b, **reading), fitting)
    if b is not None:
        raise InputError("Groups are those of one chain; leave out the second chain, or the groups.")
    if isinstance(groups, str) or any(isinstance(group, str) for group in groups):
        raise InputError('groups is a list of lists of parameters, such as [["a", "b"], ["c"]].')
    return _of_groups(read_chain(a, **reading), [list(group) for group in groups], fitting)


class _Fitted:
    """A chain with the density of one half of it."""

    def __init__(self, chain: Chain, options: FitOptions) -> None:
        chain.check_density()
        self.chain = chain
        self.seed = options.get("seed", 0)
        first, second = chain.halves(self.seed)
        self.flow: Flow = fit_density(chain, first, **options)
        self.held_out = chain.rows(second)
        self.z, log_det = latent_and_log_det(self.flow, self.held_out.x)
        self.log_prob = log_normal(self.z) + log_det
        self.gap = latent_gap(self.z, self.held_out, self.seed)
        self.short = mean_of(self.log_prob, self.held_out).short

    def entropy(self) -> Entropy:
        """The bound and the gap."""
        found = mean_of(-self.log_prob, self.held_out)
        return Entropy(Estimate(found.value, found.error), self.gap)

    def warnings(self, name: str) -> list[str]:
        """What of the chain and of the fit is not to be trusted."""
        return [*doubts_of(self.chain, name), *self.warnings_of_fit(name, name)]

    def warnings_of_fit(self, name: str, parameters: str) -> list[str]:
        """What of the density fitted to some parameters of a chain is not to be trusted."""
        said = []
        if self.gap.value > max(LARGE_GAP, 2 * self.gap.error):
            said.append(f"the density fitted to {parameters} misses {self.gap} nats; give it more time or rows.")
        if self.short:
            said.append(f"{name} is short for its autocorrelation; errors are too small.")
        return said


def _of_two(a: Chain, b: Chain, options: FitOptions) -> Information:
    first = _Fitted(a, options)
    shared = shared_share(a, b)
    if shared == 1 and shared_share(b, a) == 1:
        return Information(
            first.entropy(), first.entropy(), Estimate(0.0, 0.0),
            warnings=[*first.warnings("A"), "A and B are the same samples, so that KL(A‖B) is 0."], notes=a.notes,
        )  # fmt: skip
    second = _Fitted(b, options)
    warnings = [*first.warnings("A"), *second.warnings("B")]
    if shared > LARGE_SHARE:
        warnings.append(f"{percent(shared)} of the rows of A are rows of B, too: errors are those of separate chains.")
    divergence, is_bound, doubts = _divergence(first, second)
    return Information(
        first.entropy(), second.entropy(), divergence, divergence_is_bound=is_bound, warnings=[*warnings, *doubts],
        notes=notes_of(a, b),
    )  # fmt: skip


def _divergence(a: _Fitted, b: _Fitted) -> tuple[Estimate, bool, list[str]]:
    """KL(A‖B), whether it is a lower bound, and why not."""
    x, y = a.held_out, b.held_out
    beyond = ~((x.x > b.chain.low) & (x.x < b.chain.high)).all(1)
    if beyond.any():
        said = f"{percent(float(beyond.mean()))} of the rows of A lie beyond the bounds of B: KL(A‖B) is infinite."
        return Estimate(math.inf, math.nan), True, [said]
    mean = mean_of(a.log_prob - log_prob(b.flow, x.x), x)
    # Beyond the bounds of A, where B may have rows, q_A is 0.
    inside = ((y.x > a.chain.low) & (y.x < a.chain.high)).all(1)
    log_ratio = np.full(len(y), -np.inf)
    log_ratio[inside] = log_prob(a.flow, y.x[inside]) - b.log_prob[inside]
    correction = log_mean(log_ratio, y)
    doubts = [*_far_out(b, x), *correction.warnings]
    if not doubts:
        return Estimate(mean.value - correction.value, math.hypot(mean.error, correction.error)), True, []
    # An estimate of log E_B[exp T] from weights without a variance is too low, and the bound with it too high.
    said = (
        f"A lies in the tails of B, where the samples of B do not say how dense it is: {', and '.join(doubts)}; "
        "KL(A‖B) may be much larger or smaller."
    )
    return Estimate(mean.value, mean.error), False, [said]


def _far_out(fitted: _Fitted, others: Chain) -> list[str]:
    """How much of another chain lies farther out in the latent space than any sample of the density's own chain."""
    z, _ = latent_and_log_det(fitted.flow, others.x)
    beyond = (z**2).sum(1) > (fitted.z**2).sum(1).max()
    share = float(others.weights[beyond].sum() / others.weights.sum())
    return [f"{percent(share)} of A is farther out than any sample of B"] if share > LARGE_SHARE else []


def _of_groups(chain: Chain, groups: list[list[str]], options: FitOptions) -> Information:
    names = [name for group in groups for name in group]
    if len(groups) < 2 or not all(groups):
        raise InputError("The mutual information needs at least two groups of parameters, such as a,b:c.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The parameter {quoted(twice)} is in the groups twice; groups share no parameter.")
    joint = _Fitted(chain.only(names), options)
    parts = [_Fitted(chain.only(group), options) for group in groups]
    found = mean_of(joint.log_prob - np.sum([part.log_prob for part in parts], axis=0), joint.held_out)
    gap = joint.gap.value - sum(part.gap.value for part in parts)
    error = math.hypot(joint.gap.error, *(part.gap.error for part in parts))
    # What is to be said of the parameters of a group is said of all of them together.
    warnings = joint.warnings("the chain")
    for part, group in zip(parts, groups, strict=True):
        warnings += part.warnings_of_fit("the chain", ", ".join(map(quoted, group)))
    warnings = list(dict.fromkeys(warnings))
    return Information(
        joint.entropy(), mutual_information=Estimate(found.value, found.error),
        mutual_information_gap=Estimate(gap, error), groups=groups, warnings=warnings, notes=chain.notes,
    )  # fmt: skip

"""A map or a flow, examined: every promise of the library, as a table."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.bijections.autoregressive import Autoregressive
from pushforward.bijections.base import Bijection
from pushforward.bijections.compose import Inverse
from pushforward.evaluation import contracts
from pushforward.evaluation.contracts import DIRECTIONS, ContractError, randomized
from pushforward.flow import Flow

# Distances from the origin, of every coordinate of a batch at once.
TAILS = (0.0, 1e-30, 30.0, 1e3)
# Chance of calling samples wrong that are right, where a test is one of chance.
FALSE_ALARM = 2e-3
PERMUTATIONS = 999
COMPARED_DRAWS = 600
PROPOSAL_DRAWS = 20_000
PROPOSAL_TAIL = 4.0
LEAST_EFFECTIVE_DRAWS = 1000
QUADRATURE_POINTS = {1: 8001, 2: 601, 3: 101}


class Inconclusive(Exception):
    """An examination that could not tell."""


@dataclass(frozen=True)
class Check:
    """One promise, examined.

    Attributes:
        name: what was examined.
        direction: "forward", "inverse", or "" for both.
        passed: True, False, or None where it does not apply.
        detail: what was found.
    """

    name: str
    direction: str
    passed: bool | None
    detail: str = ""


@dataclass
class Report:
    """What an examination found; prints as a table.

    Attributes:
        subject: what was examined.
        checks: one for each promise.
    """

    subject: str
    checks: list[Check] = field(default_factory=list)

    @property
    def failures(self) -> list[Check]:
        """The promises that are not kept."""
        return [check for check in self.checks if check.passed is False]

    @property
    def passed(self) -> bool:
        """Whether all promises are kept."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise a ContractError that lists the failures, if there are any."""
        if self.failures:
            listed = "; ".join(f"{c.name} {c.direction}".strip() + f": {c.detail}" for c in self.failures)
            raise ContractError(f"{self.subject}: {listed}")

    def __str__(self) -> str:
        marks = {True: "ok", False: "FAILED", None: "-"}
        rows = [(marks[check.passed], check.name, check.direction, check.detail) for check in self.checks]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)) for row in rows]
        lines = [f"{line}  {row[3]}".rstrip() for line, row in zip(lines, rows, strict=True)]
        counted = (
            f"{len(self.failures)} of {len(rows)} checks failed" if self.failures else f"all {len(rows)} checks ok"
        )
        return "\n".join([self.subject, *lines, counted])

    def examine(self, name: str, direction: str, contract: Callable[[], float]) -> None:
        """Add what a contract finds; whatever it raises is a failure."""
        try:
            error = contract()
            self.checks.append(Check(name, direction, True, f"error {error:.1e}" if error else ""))
        except NotImplementedError:
            self.checks.append(Check(name, direction, None, "this direction is not offered"))
        except Inconclusive as finding:
            self.checks.append(Check(name, direction, None, str(finding)))
        except ContractError as error:
            self.checks.append(Check(name, direction, False, str(error)))
        except Exception as error:
            self.checks.append(Check(name, direction, False, f"{type(error).__name__}: {error}"))


def check_bijection(
    bijection: Bijection, *, dependencies: Tensor | None = None, tolerance: float = 1e-9, seed: int = 0
) -> Report:
    """Examine a map, one of the library's or your own, for everything that a flow relies on.

    Round trips, log_dets against automatic differentiation, finite values and gradients at edges and in tails,
    gradients to every parameter, precision, batch sizes, context, copies, compilation. The examination takes a copy, in
    float64, with parameters filled with noise: a map that is right only as it begins is not right.

    Arguments:
        bijection: the map; it is left as it is.
        dependencies: (D, D) boolean, True where the forward's output i depends on input j; all others must then be
            exactly 0. An autoregressive layer knows its own.
        tolerance: of errors in float64, relative to what is larger than 1, default 1e-9.
        seed: of values and parameters.

    Returns:
        A report: `print(report)`, `report.passed`, `report.raise_if_failed()`.

    Cost: a second or two.

    Example:
        >>> import pushforward as pf
        >>> class Shift(pf.Bijection):
        ...     features = 3
        ...     def forward(self, z, context=None):
        ...         return z + 2, z.new_zeros(z.shape[:-1])
        ...     def inverse(self, x, context=None):
        ...         return x - 1, x.new_zeros(x.shape[:-1])
        >>> failure = pf.check_bijection(Shift()).failures[0]
        >>> failure.name, failure.detail
        ('round trip', 'value and value after the round trip differ (by 1, allowed 1e-09)')
    """
    report = Report(f"{type(bijection).__name__}, {bijection.features} features")
    _examine_bijection(report, bijection, dependencies, tolerance, seed)
    return report


def check_flow(
    flow: Flow,
    *,
    x: Tensor | None = None,
    context: Tensor | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
) -> Report:
    """Examine a flow: its map as `check_bijection` does, and its density as it stands, trained or not.

    The density that comes with a sample is the density of the sample; it integrates to 1, by quadrature up to three
    features, beyond by importance sampling from a Student-t about the samples; samples follow the density, by an energy
    test against draws that the density picked from that Student-t; and, where rows are given, the samples resemble
    them.

    Arguments:
        flow: the flow; it is left as it is.
        x: (N, D) held-out rows to compare the samples with, default none.
        context: (C,) the context to examine a conditional flow at; default at random. With `x`, that of its rows.
        tolerance: as for `check_bijection`.
        seed: of values, parameters and draws.

    Returns:
        A report: `print(report)`, `report.passed`, `report.raise_if_failed()`.

    Cost: a few seconds; three features take the most, a million density evaluations.

    Source: Székely and Rizzo 2013 (energy statistics), doi:10.1016/j.jspi.2013.03.018.

    Example:
        >>> import pushforward as pf
        >>> pf.check_flow(pf.realnvp(features=1, context=1, layers=2, hidden=(8,))).passed
        True
    """
    report = Report(f"Flow, {flow.features} features")
    _examine_bijection(report, flow.bijection, None, tolerance, seed)
    examined = _as_it_stands(flow)
    if flow.context_features and context is None:
        context = torch.randn(flow.context_features, generator=torch.Generator().manual_seed(seed))
    context = None if context is None else context.double()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        density = _Density(examined, context)
        report.examine("density of a sample", "", lambda: _sample_density(density, max(tolerance, 1e-9)))
        report.examine("integrates to 1", "", lambda: _integral(density))
        report.examine("samples follow the density", "", lambda: _samples_follow(density))
        if x is not None:
            report.examine("samples resemble the rows given", "", lambda: _energy_test(density.samples, x.double()))
    return report


def _examine_bijection(
    report: Report, bijection: Bijection, dependencies: Tensor | None, tolerance: float, seed: int
) -> None:
    features, context_features = bijection.features, bijection.context_features
    examined, as_it_is = randomized(bijection, seed), _as_it_stands(bijection)
    generator = torch.Generator().manual_seed(seed)
    latent = 2 * torch.randn(64, features, generator=generator, dtype=torch.float64)
    context = None
    if context_features:
        context = torch.randn(64, context_features, generator=generator, dtype=torch.float64)
    wanted = _known_dependencies(bijection) if dependencies is None else dependencies

    def head(rows: int) -> Tensor | None:
        return None if context is None else context[:rows]

    for direction in DIRECTIONS:
        try:
            value = _reached(examined, direction, latent, context)
        except Exception as error:
            report.checks.append(Check("evaluation", direction, False, f"{type(error).__name__}: {error}"))
            continue

        def add(
            name: str, contract: Callable[..., float], *arguments: Any, direction: str = direction, of: Any = examined
        ) -> None:
            report.examine(name, direction, lambda: contract(of, direction, *arguments))

        add("round trip", contracts.round_trip, value, context, tolerance)
        add("opposite log_dets", contracts.opposite_log_dets, value, context, tolerance)
        # A simplex has one coordinate more than it has dimensions, and no square Jacobian.
        if value.shape == latent.shape:
            for row, event in enumerate(value[:3]):
                given = None if context is None else context[row]
                add("log_det by autograd", contracts.jacobian_log_det, event, given, tolerance)
            given = None if context is None else context[0]
            event = _reached(as_it_is, direction, latent[0], given)
            add("log_det, as it is", contracts.jacobian_log_det, event, given, tolerance, of=as_it_is)
        for distance in TAILS:
            far = distance * latent.sign()
            add(f"finite at |z| = {distance:g}", _finite_at, far, context)
        add("gradients reach parameters", contracts.gradients_reach_parameters, value, context)
        add("gradients are right", contracts.gradients_are_right, value[:2], head(2))
        add("float64 stays", contracts.keeps_precision, value, context)
        single = randomized(bijection, seed).float()
        rounded = None if context is None else context.float()
        add("float32 stays", contracts.keeps_precision, value.float(), rounded, of=single)
        for rows in (0, 1, 7):
            add(f"batch of {rows}", contracts.batch_equals_loop, value[:rows], head(rows), 10 * tolerance)
        if context is not None:
            same = _reached(examined, direction, latent[:6], context[0]).view(2, 3, -1)
            add("context broadcasts", contracts.context_broadcasts, same, context[0])
            add("context matters", contracts.context_matters, value, context)
        add("copies agree", contracts.copies_agree, value, context)
        if getattr(bijection.cost, direction) == "1 pass":
            add("compiles", contracts.compiles, value, context)
        add("other sizes refused", contracts.refuses_other_sizes, value, context)
        if wanted is not None and (direction == "forward" or dependencies is None):
            add("dependencies", contracts.depends_as_wanted, wanted, value[:8], None if context is None else context[0])
    report.examine("not the identity", "", lambda: contracts.is_not_the_identity(examined, latent, context))


def _reached(bijection: Any, direction: str, z: Tensor, context: Tensor | None) -> Tensor:
    """Values that a direction is defined for: z itself, or what the forward makes of it, if there is one."""
    if direction == "forward":
        return z
    try:
        return bijection(z, context)[0].detach()
    except NotImplementedError:
        return z


def _finite_at(bijection: Bijection, direction: str, z: Tensor, context: Tensor | None) -> float:
    return contracts.finite(bijection, direction, _reached(bijection, direction, z, context), context)


def _as_it_stands(module: Any) -> Any:
    return copy.deepcopy(module).double().eval()


def _known_dependencies(bijection: Bijection) -> Tensor | None:
    """Which output of an autoregressive layer depends on which input, the same in both directions."""
    while isinstance(bijection, Inverse):
        bijection = bijection.bijection
    if not isinstance(bijection, Autoregressive):
        return None
    # Of an adjacency, the forward depends on more than the inverse.
    return bijection.dependencies() if bijection.conditioner.adjacency is None else None


class _Density:
    """A flow at one context, with samples, and a wide Student-t about them to weigh against it."""

    def __init__(self, flow: Flow, context: Tensor | None) -> None:
        self.flow = flow
        self.context = context
        self.samples, self.sample_log_prob = flow.sample_with_log_prob((4000,), context)
        middle = self.samples.median(0).values
        # Quantiles, since moments of heavy tails need not exist.
        low, high = self.samples.quantile(torch.tensor([0.1, 0.9], dtype=torch.float64), dim=0)
        self.middle, self.spread = middle, ((high - low) / 2.56).clamp_min(1e-12)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.cat([self.flow.log_prob(part, self.context) for part in x.split(100_000)])

    def proposal(self) -> tuple[Tensor, Tensor]:
        """Draws from a Student-t about the samples, and log p - log proposal of them."""
        standard = (self.samples - self.middle) / self.spread
        near = standard[standard.abs().amax(1) < 20]
        factor = torch.linalg.cholesky(
            near.T.cov().view(*2 * [near.shape[1]]) + 1e-6 * torch.eye(near.shape[1]).double()
        )
        features = near.shape[1]
        degrees = torch.tensor(PROPOSAL_TAIL, dtype=torch.float64)
        normal = torch.randn(PROPOSAL_DRAWS, features, dtype=torch.float64)
        chi = torch.distributions.Chi2(degrees).sample((PROPOSAL_DRAWS, 1)) / degrees
        y = near.mean(0) + (normal / chi.sqrt()) @ factor.T
        squared = (normal.square() / chi).sum(1)
        log_proposal = (
            torch.lgamma((degrees + features) / 2)
            - torch.lgamma(degrees / 2)
            - features / 2 * torch.log(degrees * math.pi)
            - factor.diagonal().log().sum()
            - (degrees + features) / 2 * torch.log1p(squared / degrees)
            - self.spread.log().sum()
        )
        x = self.middle + self.spread * y
        return x, self.log_prob(x) - log_proposal


def _sample_density(density: _Density, tolerance: float) -> float:
    again = density.log_prob(density.samples)
    error = float((again - density.sample_log_prob).abs().max())
    if not error <= tolerance * 10:
        raise ContractError(f"the density returned with a sample differs from log_prob of it by {error:.2g}")
    return error


def _integral(density: _Density) -> float:
    features = density.samples.shape[1]
    if features in QUADRATURE_POINTS:
        total, error = _quadrature(density, QUADRATURE_POINTS[features])
        how = "by quadrature"
    else:
        _, log_weight = density.proposal()
        weight = log_weight.exp()
        total, error = float(weight.mean()), float(weight.std()) / math.sqrt(len(weight))
        effective = float(weight.sum() ** 2 / weight.square().sum())
        how = f"by {len(weight)} weighted draws, {effective:.0f} effective"
        if effective < LEAST_EFFECTIVE_DRAWS:
            raise Inconclusive(f"{total:.4f} ± {error:.4f} {how}: too few to tell")
    if not abs(total - 1) <= 4 * error + 2e-3:
        raise ContractError(f"the density integrates to {total:.4f} ± {error:.4f} {how}")
    return abs(total - 1)


def _quadrature(density: _Density, points: int) -> tuple[float, float]:
    """The integral over a grid that is fine about the samples and reaches far out, and its error from half the grid."""
    features = density.samples.shape[1]
    reach = float(((density.samples - density.middle) / density.spread).abs().max()) * 4
    u = torch.linspace(-math.asinh(reach), math.asinh(reach), points, dtype=torch.float64)
    axis, log_step = u.sinh(), u.cosh().log() + math.log(float(u[1] - u[0]))
    grid = torch.stack(torch.meshgrid(*features * [axis], indexing="ij"), -1)
    log_cell = sum(log_step.view([-1 if k == d else 1 for k in range(features)]) for d in range(features))
    x = (density.middle + density.spread * grid).view(-1, features)
    values = (density.log_prob(x).view_as(grid[..., 0]) + log_cell + density.spread.log().sum()).exp()
    half = values[tuple(features * [slice(None, None, 2)])]
    total, coarse = float(values.sum()), float(half.sum()) * 2**features
    return total, abs(total - coarse)


def _samples_follow(density: _Density) -> float:
    """Energy test of the samples against draws that the density itself picked, with no use of the sampler's map."""
    x, log_weight = density.proposal()
    weight = (log_weight - log_weight.logsumexp(0)).exp()
    effective = float(1 / weight.square().sum())
    if effective < LEAST_EFFECTIVE_DRAWS:
        raise Inconclusive(f"only {effective:.0f} effective draws to compare with: too few to tell")
    picked = x[torch.multinomial(weight, COMPARED_DRAWS, replacement=True)]
    return _energy_test((density.samples - density.middle) / density.spread, (picked - density.middle) / density.spread)


def _energy_test(samples: Tensor, others: Tensor) -> float:
    """Raise where the energy distance of two sets is larger than relabelling would make it."""
    samples, others = (rows[torch.randperm(len(rows))[:COMPARED_DRAWS]] for rows in (samples, others))
    both = torch.cat([samples, others])
    distance = torch.cdist(both, both)
    count, first = len(both), len(samples)
    label = torch.full((count,), -1 / (count - first), dtype=torch.float64)
    label[:first] = 1 / first
    shuffled = torch.stack([label] + [label[torch.randperm(count)] for _ in range(PERMUTATIONS)])
    energies = -((shuffled @ distance) * shuffled).sum(1)
    chance = float((energies >= energies[0]).double().mean())
    if chance <= FALSE_ALARM:
        raise ContractError(
            f"the energy distance is {float(energies[0]):.3g}, by chance as large only with p = {chance:.3f}"
        )
    return 0.0

"""Checks of a map or a flow against every contract of the library, reported as a table."""

import copy
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
from pushforward.evaluation.density import (
    ExaminedDensity,
    Inconclusive,
    energy_test,
    integral,
    sample_density,
    samples_follow,
)
from pushforward.flow import Flow
from pushforward.support.modules import check_module, device_of
from pushforward.support.seeding import seeded

# Distances from the origin, of every coordinate of a batch at once.
TAILS = (0.0, 1e-30, 30.0, 1e3)
# Of the noise in the parameters, from the first on; a map of many steep layers loses all digits at the larger ones.
SCALES = (1.0, 0.5, 0.25, 0.125)
# Beyond this ratio of singular values of the Jacobian, float64 keeps too few digits for round trips.
WORST_CONDITION = 1e6


@dataclass(frozen=True)
class Check:
    """One contract, checked.

    Attributes:
        name: what was checked.
        direction: "forward", "inverse", or "" for both.
        passed: True, False, or None where it does not apply.
        detail: the error, or why the check failed.
    """

    name: str
    direction: str
    passed: bool | None
    detail: str = ""


@dataclass
class Report:
    """The result of some checks; prints as a table.

    Attributes:
        subject: what was checked.
        checks: one for each contract and direction.
    """

    subject: str
    checks: list[Check] = field(default_factory=list)

    @property
    def failures(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.passed is False]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise a ContractError that lists the failures, if any."""
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
        """Add the result of a contract; any exception is a failure."""
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
    """Check a map, one of the library's or your own, for everything that a flow relies on.

    Round trips, log_dets against automatic differentiation, finite values and gradients at edges and in tails,
    gradients to every parameter, precision, batch sizes, context, copies, compilation. The checks use a copy in float64
    whose parameters are filled with noise: a map must be right for any parameters, not only for its initial ones. The
    noise is smaller where the map would otherwise be so steep that float64 has no digits left for a round trip.

    Arguments:
        bijection: the map, which is not changed.
        dependencies: (D, D) boolean, True where the forward's output i depends on input j; all others must then be
            exactly 0. An autoregressive layer knows its own.
        tolerance: of errors in float64, relative to values above 1, default 1e-9.
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
    check_module(bijection, "check_bijection", "a map, such as pushforward.maf(features=2).bijection", "inverse")
    report = Report(f"{type(bijection).__name__}, {bijection.features} features")
    _MapChecks(report, bijection, dependencies, tolerance, seed).run()
    return report


def check_flow(
    flow: Flow,
    *,
    x: Tensor | None = None,
    context: Tensor | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
) -> Report:
    """Check a flow: its map as `check_bijection` does, and its density with the weights it has, trained or not.

    The density that comes with a sample is the density of the sample; it integrates to 1, by quadrature up to three
    features, beyond by importance sampling from a Student-t around the samples; samples follow the density, by an
    energy test against draws of that Student-t, resampled by the density; and, if rows are given, the samples resemble
    them.

    Arguments:
        flow: the flow, which is not changed.
        x: (N, D) held-out rows to compare the samples with, default none.
        context: (C,) the context at which to check a conditional flow; default random. With `x`, that of its rows.
        tolerance: as for `check_bijection`.
        seed: of values, parameters and draws.

    Returns:
        A report: `print(report)`, `report.passed`, `report.raise_if_failed()`.

    Cost: a few seconds; three features take the most, a million density evaluations.

    Source: Székely and Rizzo 2013 (energy statistics), doi:10.1016/j.jspi.2013.03.018.

    Example:
        >>> import pushforward as pf
        >>> pf.check_flow(pf.Flow(pf.bijections.ActNorm(1), pf.distributions.StandardNormal(1))).passed
        True
    """
    check_module(flow, "check_flow", "a flow, such as pushforward.maf(features=2)", "bijection", "base")
    report = Report(f"Flow, {flow.features} features")
    _MapChecks(report, flow.bijection, None, tolerance, seed).run()
    # Maps are checked where the flow is, its density on the processor.
    examined = _in_double(flow).cpu()
    if flow.context_features and context is None:
        context = torch.randn(flow.context_features, generator=torch.Generator().manual_seed(seed))
    context = None if context is None else context.double().cpu()
    with torch.no_grad(), seeded(seed):
        density = ExaminedDensity(examined, context)
        report.examine("density of a sample", "", lambda: sample_density(density, max(tolerance, 1e-9)))
        report.examine("integrates to 1", "", lambda: integral(density))
        report.examine("samples follow the density", "", lambda: samples_follow(density))
        if x is not None:
            report.examine(
                "samples resemble the rows given", "", lambda: energy_test(density.samples, x.double().cpu())
            )
    return report


class _MapChecks:
    """The checks of one map: a copy filled with noise, and values and a context to evaluate it at.

    Arguments:
        report: takes the results.
        bijection: the map, which is not changed.
        dependencies: declared by the caller, or None.
        tolerance: of errors in float64.
        seed: of values and parameters.
    """

    def __init__(
        self, report: Report, bijection: Bijection, dependencies: Tensor | None, tolerance: float, seed: int
    ) -> None:
        self.report, self.bijection, self.tolerance, self.seed = report, bijection, tolerance, seed
        self.declared = dependencies
        generator = torch.Generator().manual_seed(seed)
        device = device_of(bijection)
        self.latent = 2 * torch.randn(64, bijection.features, generator=generator, dtype=torch.float64).to(device)
        self.context: Tensor | None = None
        if bijection.context_features:
            context = torch.randn(64, bijection.context_features, generator=generator, dtype=torch.float64)
            self.context = context.to(device)
        self.scale = next((scale for scale in SCALES if self._keeps_digits(scale)), SCALES[0])
        self.filled = randomized(bijection, seed, self.scale)

    def run(self) -> None:
        """Every check, in both directions."""
        for direction in DIRECTIONS:
            try:
                value = _reached(self.filled, direction, self.latent, self.context)
            except Exception as error:
                detail = f"{type(error).__name__}: {error}"
                self.report.checks.append(Check("evaluation", direction, False, detail))
                continue
            self._check_values(direction, value)
            self._check_gradients(direction, value)
            self._check_batches(direction, value)
            self._check_module(direction, value)
        contract = contracts.is_not_the_identity
        self.report.examine("not the identity", "", lambda: contract(self.filled, self.latent, self.context))

    def _check_values(self, direction: str, value: Tensor) -> None:
        """Round trips and log_dets."""
        self._add("round trip", direction, contracts.round_trip, value, self.context, self.tolerance)
        self._add("opposite log_dets", direction, contracts.opposite_log_dets, value, self.context, self.tolerance)
        # A simplex has one coordinate more than it has dimensions, and no square Jacobian.
        if value.shape != self.latent.shape:
            return
        contract = contracts.jacobian_log_det
        for row, event in enumerate(value[:3]):
            self._add("log_det by autograd", direction, contract, event, self._context_of(row), self.tolerance)
        unchanged = _in_double(self.bijection)
        event = _reached(unchanged, direction, self.latent[0], self._context_of(0))
        self._add("log_det, as it is", direction, contract, event, self._context_of(0), self.tolerance, of=unchanged)

    def _check_gradients(self, direction: str, value: Tensor) -> None:
        """Finite values and gradients in tails, and gradients to parameters and inputs."""
        for distance in TAILS:
            far = distance * self.latent.sign()
            self._add(f"finite at |z| = {distance:g}", direction, _finite_at, far, self.context)
        reach = contracts.gradients_reach_parameters
        self._add("gradients reach parameters", direction, reach, value, self.context)
        self._add("gradients are right", direction, contracts.gradients_are_right, value[:2], self._contexts(2))

    def _check_batches(self, direction: str, value: Tensor) -> None:
        """Precision, batches and contexts."""
        self._add("float64 stays", direction, contracts.keeps_precision, value, self.context)
        single = randomized(self.bijection, self.seed, self.scale).float()
        rounded = None if self.context is None else self.context.float()
        self._add("float32 stays", direction, contracts.keeps_precision, value.float(), rounded, of=single)
        for rows in (0, 1, 7):
            arguments = (value[:rows], self._contexts(rows), 10 * self.tolerance)
            self._add(f"batch of {rows}", direction, contracts.batch_equals_loop, *arguments)
        if self.context is not None:
            same = _reached(self.filled, direction, self.latent[:6], self.context[0]).view(2, 3, -1)
            self._add("context broadcasts", direction, contracts.context_broadcasts, same, self.context[0])
            self._add("context matters", direction, contracts.context_matters, value, self.context)

    def _check_module(self, direction: str, value: Tensor) -> None:
        """Copies, compilation, sizes and dependencies."""
        self._add("copies agree", direction, contracts.copies_agree, value, self.context)
        if getattr(self.bijection.cost, direction) == "1 pass":
            self._add("compiles", direction, contracts.compiles, value, self.context)
        self._add("other sizes refused", direction, contracts.refuses_other_sizes, value, self.context)
        declared, exactly = self.declared, True
        if declared is None:
            declared, exactly = _known_dependencies(self.bijection, direction)
        elif direction == "inverse":
            return
        if declared is not None:
            arguments = (declared, value[:8], self._context_of(0), exactly)
            self._add("dependencies", direction, contracts.depends_as_declared, *arguments)

    def _keeps_digits(self, scale: float) -> bool:
        """Whether the map with this much noise is not too steep for a round trip; True where it has no Jacobian."""
        filled, value = randomized(self.bijection, self.seed, scale), self.latent.clone().requires_grad_()
        try:
            mapped, _ = filled(value, self.context)
            rows = [
                torch.autograd.grad(mapped[:, i].sum(), value, retain_graph=True)[0] for i in range(mapped.shape[1])
            ]
        except Exception:
            # What is wrong with the map is for the checks to say.
            return True
        jacobians = torch.stack(rows, 1)
        if not bool(jacobians.isfinite().all()):
            return True
        values = torch.linalg.svdvals(jacobians)
        return bool((values[:, 0] <= WORST_CONDITION * values[:, -1]).all())

    def _add(
        self, name: str, direction: str, contract: Callable[..., float], *arguments: Any, of: Bijection | None = None
    ) -> None:
        """Add the result of a contract, of the filled copy or of another one."""
        bijection = self.filled if of is None else of
        self.report.examine(name, direction, lambda: contract(bijection, direction, *arguments))

    def _context_of(self, row: int) -> Tensor | None:
        return None if self.context is None else self.context[row]

    def _contexts(self, rows: int) -> Tensor | None:
        return None if self.context is None else self.context[:rows]


def _reached(bijection: Any, direction: str, z: Tensor, context: Tensor | None) -> Tensor:
    """Values that a direction is defined for: z itself, or its image, if the map has a forward direction."""
    if direction == "forward":
        return z
    try:
        return bijection(z, context)[0].detach()
    except NotImplementedError:
        return z


def _finite_at(bijection: Bijection, direction: str, z: Tensor, context: Tensor | None) -> float:
    return contracts.finite(bijection, direction, _reached(bijection, direction, z, context), context)


def _in_double(module: Any) -> Any:
    return copy.deepcopy(module).double().eval()


def _known_dependencies(bijection: Bijection, direction: str) -> tuple[Tensor | None, bool]:
    """Which output of an autoregressive layer depends on which input, and whether it does so on each of them.

    The dependencies are the same in both directions, but with an adjacency: the inverse then depends on the parents of
    a feature, not on all ancestors.
    """
    while isinstance(bijection, Inverse):
        bijection, direction = bijection.bijection, contracts.opposite(direction)
    if not isinstance(bijection, Autoregressive):
        return None, True
    return bijection.dependencies(), direction == "forward" or bijection.conditioner.adjacency is None

"""Flows in continuous time: a point moves with the velocity that a network gives it."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.errors import AccuracyWarning
from pushforward.kernels.eligibility import derivatives_wanted, is_untransformed
from pushforward.networks.linearized import Linearization, LinearizedMLP
from pushforward.networks.mlp import batch_of
from pushforward.networks.time_features import (
    TIME_FEATURES,
    from_logarithmic,
    time_features,
    time_per_logarithmic,
)
from pushforward.solvers.ode import LARGEST_STEP, TOLERANCE, integrate
from pushforward.support.autocast import in_full_precision

# Widths of the hidden layers.
HIDDEN = (128, 128)
# With more features, a network of more than two hidden layers has an estimated divergence.
EXACT_FEATURES = 100
# The first layer starts with weights so many times as large as usual ones: fields of points in standardized units have
# structure much finer than 1, which smooth networks of small weights learn slowly.
FIRST_WEIGHTS = 3.0
GRADIENTS = ("direct", "adjoint")
# A finer solution, to compare with, has a tolerance this many times smaller, and at least this many times as many steps
# as another one has at least: two solutions with a loose tolerance would otherwise take the same steps.
FINER, MORE_STEPS = 100, 4
# Rows that are checked in every evaluation, and the error in nats from which it warns.
CHECKED_ROWS, LARGEST_ERROR = 16, 0.01


class Continuous(Bijection):
    """∂x/∂t = v(x, t; context) from x(0) = z to x(1) = x, log_det = ∫ tr(∂v/∂x) dt along the way.

    v is a perceptron that sees t, and sines and cosines of its logarithmic distance from the data, in every hidden
    layer: see `time_features`. With one or two hidden layers, the trace is exact and costs no more than v, whatever D
    is: see `Linearization.trace`. With more it takes D passes up to 100 features; beyond it is estimated by
    vᵀ (∂v/∂x) v with a random sign for each entry of v, the same at all times (Hutchinson), without bias.

    The equation is solved to a tolerance, with s, the logarithm of that distance, in place of t. Both directions are
    then inverses of each other, and log_det is that of the map, to about this tolerance. In evaluation mode, unless
    gradients by x are wanted, log_dets of some rows, the farthest ones among them, are compared with those of a finer
    solution, and an `AccuracyWarning` says if they differ by more than 0.01 nats: `pushforward.log_prob_with_error`
    gives the error of every row.

    Arguments:
        features: D.
        context: C, default 0.
        hidden: widths of the hidden layers of v, default (128, 128).
        activation: "silu" (default) or "tanh".
        tolerance: of the error of each step, relative to 1 + |x|, default 1e-5; see `integrate`.
        steps: this many equal steps of s, of order 4, in place of adaptive ones, so that rows do not share their steps.
        gradient: "direct" (default), through the steps, to any order, or "adjoint", by the adjoint equation: memory for
            one step, gradients within the tolerance, no second derivatives.

    Raises:
        ValueError: a tolerance that is not above 0, no steps, or another name of a gradient or an activation; in both
            directions, SolverError if the equation cannot be solved, InputError if torchdiffeq is not installed.

    Cost: both directions the steps of the solver, at 6 passes each; some 10 to 30 steps for a trained flow.

    Source: Chen, Rubanova, Bettencourt and Duvenaud 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367
    (the estimate).

    Example:
        >>> import pytest; _ = pytest.importorskip("torchdiffeq")
        >>> map_ = Continuous(3, tolerance=1e-10).double()
        >>> x = torch.randn(5, 3, dtype=torch.float64)
        >>> z, log_det = map_.inverse(x)
        >>> torch.allclose(map_(z)[0], x, atol=1e-8)
        True
    """

    approximates = True

    def __init__(
        self,
        features: int,
        context: int = 0,
        hidden: Sequence[int] = HIDDEN,
        activation: str = "silu",
        tolerance: float = TOLERANCE,
        steps: int | None = None,
        gradient: str = "direct",
    ):
        super().__init__()
        if not tolerance > 0:
            raise ValueError(f"tolerance must be above 0, got {tolerance}.")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}.")
        if gradient not in GRADIENTS:
            raise ValueError(f'gradient must be "direct" or "adjoint", got {gradient!r}.')
        self.features = features
        self.context_features = context
        self.tolerance = tolerance
        self.largest_step = LARGEST_STEP
        self.steps = steps
        self.gradient = gradient
        self.network = LinearizedMLP(features, hidden, activation, context + TIME_FEATURES)
        with torch.no_grad():
            for parameter in self.network.layers[0].parameters():
                parameter.mul_(FIRST_WEIGHTS)
        self.estimates = len(hidden) > 2 and features > EXACT_FEATURES

    @property
    def cost(self) -> Cost:
        """An equation to solve in both directions."""
        return Cost("an ODE", "an ODE")

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Follow the velocity from time 0 to 1."""
        return self._mapped(z, context, 0.0, 1.0)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Follow the velocity back from time 1 to 0."""
        return self._mapped(x, context, 1.0, 0.0)

    def velocity(self, x: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
        """v, (*batch, D), of x, (*batch, D), at times, (*batch), given contexts, (*batch, C)."""
        return self.network(x, self._conditions(time, context))

    def refine(self) -> None:
        """Solve to a tolerance 100 times smaller and in steps four times smaller at most, or in four times as many."""
        self.tolerance /= FINER
        self.largest_step /= MORE_STEPS
        self.steps = None if self.steps is None else self.steps * MORE_STEPS

    def _conditions(self, time: Tensor, context: Tensor | None) -> Tensor:
        """What every hidden layer sees beside x."""
        seen = time_features(time)
        if context is None:
            return seen
        batch = torch.broadcast_shapes(time.shape, context.shape[:-1])
        return torch.cat([seen.expand(*batch, -1), context.expand(*batch, -1)], -1)

    @in_full_precision
    def _mapped(self, value: Tensor, context: Tensor | None, start: float, end: float) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        batch = batch_of(value, context, self.context_features)
        context = context if self.context_features else None
        value = value.expand(*batch, self.features)
        if not value.numel():
            return value, value.sum(-1)
        known = value.isfinite().all(-1)
        mapped, log_det = self._solved(torch.where(known[..., None], value, 0.0), context, start, end, fine=False)
        if not (self.training or carries_gradients(value, context)) and is_untransformed():
            with torch.no_grad():
                self._warn_if_inaccurate(value, context, (start, end), (mapped, log_det), known)
        return torch.where(known[..., None], mapped, torch.nan), torch.where(known, log_det, torch.nan)

    def _solved(
        self, value: Tensor, context: Tensor | None, start: float, end: float, *, fine: bool
    ) -> tuple[Tensor, Tensor]:
        signs = torch.empty_like(value).bernoulli_(0.5).mul_(2).sub_(1) if self.estimates else None

        def rate(s: Tensor, state: Tensor) -> Tensor:
            # ∂x/∂s = v ∂t/∂s: near the data, where v changes fastest, equal steps of s are short steps of time.
            time, slope = from_logarithmic(s), time_per_logarithmic(s)
            velocity, linearization = self.network.linearized(state[..., :-1], self._conditions(time, context))
            return slope * torch.cat([velocity, divergence(linearization, signs)[..., None]], -1)

        adjoint = None
        if self.gradient == "adjoint":
            adjoint = [*self.parameters(), *([] if context is None else [context])]
        state = torch.cat([value, torch.zeros_like(value[..., :1])], -1)
        state = integrate(
            rate, state, start, end, tolerance=self.tolerance / (FINER if fine else 1),
            largest_step=self.largest_step / (MORE_STEPS if fine else 1),
            steps=None if self.steps is None else self.steps * (MORE_STEPS if fine else 1), adjoint=adjoint,
        )  # fmt: skip
        return state[..., :-1], state[..., -1]

    def _warn_if_inaccurate(
        self,
        value: Tensor,
        context: Tensor | None,
        times: tuple[float, float],
        found: tuple[Tensor, Tensor],
        known: Tensor,
    ) -> None:
        """Compare the log-densities of some rows, as far as they depend on this map, with those of a finer solution."""
        rows = _rows_to_check(value[known])
        if not len(rows):
            return
        context = None if context is None else context.expand(*known.shape, -1)[known][rows]
        mapped, log_det = (part[known][rows] for part in found)
        fine = self._solved(value[known][rows], context, *times, fine=True)
        # Where x is given, z has an error of its own, which is counted as by a normal base.
        shift = (mapped.square() - fine[0].square()).sum(-1) / 2 if times[0] > times[1] else 0.0
        error = float((log_det - fine[1] - shift).abs().amax())
        if error > LARGEST_ERROR:
            remedy = "lower its tolerance" if self.steps is None else "take more steps"
            cause = "its divergence is estimated" if self.estimates else remedy
            warnings.warn(
                f"Log-densities of a continuous flow have errors of up to {error:.2g} nats among {len(rows)} rows that "
                f"were checked: {cause}; pushforward.log_prob_with_error gives the error of each row.",
                AccuracyWarning,
                stacklevel=2,
            )

    def extra_repr(self) -> str:
        """Show the accuracy as well."""
        accuracy = f"tolerance={self.tolerance:g}" if self.steps is None else f"steps={self.steps}"
        return f"{super().extra_repr()}, {accuracy}"


def divergence(linearization: Linearization, signs: Tensor | None) -> Tensor:
    """tr J, (*batch), or its estimate by random signs, (*batch, D)."""
    return linearization.trace() if signs is None else (linearization.times(signs) * signs).sum(-1)


def carries_gradients(*tensors: Tensor | None) -> bool:
    """Whether what is computed of tensors is to be differentiated by them: such calls repeat, and are not checked."""
    return derivatives_wanted() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _rows_to_check(rows: Tensor) -> Tensor:
    """The numbers of all rows of few, (n, D), or of some: half the farthest from the origin, half evenly spaced."""
    if len(rows) <= CHECKED_ROWS:
        return torch.arange(len(rows), device=rows.device)
    farthest = rows.abs().amax(-1).topk(CHECKED_ROWS // 2).indices
    spaced = torch.arange(0, len(rows), len(rows) // (CHECKED_ROWS // 2), device=rows.device)
    return torch.cat([farthest, spaced[: CHECKED_ROWS // 2]])

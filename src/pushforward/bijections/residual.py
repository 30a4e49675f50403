"""Residual layers: a step by a network that is too flat to fold space."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.networks.linearized import STEEPEST, Linearization, LinearizedMLP, bounded
from pushforward.networks.mlp import checked_context
from pushforward.solvers.contraction import Contraction, search_contraction, solve_contraction
from pushforward.solvers.solutions import RootReport
from pushforward.support.autocast import in_full_precision

# Up to this many features the log-determinant is that of the Jacobian itself, and a step of the inverse is Newton's.
EXACT_FEATURES = 100
# Terms of the series that are always taken.
SURE_TERMS = 8
LOG_DETS = ("auto", "exact", "series")


class Residual(Bijection):
    """z = x + g(x; context), |g(a) - g(b)| ≤ lipschitz · |a - b| with lipschitz < 1, log_det = log|det(1 + ∂g/∂x)|.

    g is a perceptron whose weight matrices are each shrunk below the same spectral norm, W / √(1 + (‖W‖ / bound)²), and
    whose activations have slopes of at most 1. ‖W‖ is a Schatten norm, never below the spectral norm: the map is
    invertible for any parameters, not only where a power iteration has converged.

    Up to 100 features log_det is exact. Beyond, it is an unbiased estimate of its series:

        log|det(1 + J)| = Σ_k (-1)^(k+1) tr(J^k) / k,  tr(J^k) by vᵀ J^k v with a random sign for each entry of v,

    8 terms of it always, and every later one with the chance `lipschitz` after the one before, divided by the product
    of the chances taken (Russian roulette). Terms shrink as fast as chances, so that the variance is finite.
    `log_det_with_error` repeats it and gives the standard error.

    The other direction solves x + g(x) = z, to the last float: see `solve_contraction`. `forward_with_report` says how
    the search converged.

    Arguments:
        features: D.
        context: C; the context shifts every hidden layer, default 0.
        hidden: widths of the hidden layers of g, default (64, 64).
        activation: "silu" (default; divided by 1.1, so that no slope is above 1) or "tanh".
        lipschitz: the bound, above 0 and below 1, default 0.97.
        log_det: "auto" (default), "exact" or "series".

    Raises:
        ValueError: a bound outside (0, 1), another name of an activation or of a way to log_det; in `forward`,
            SolverError if a row is not found.

    Cost: inverse 1 pass, and for log_det D more, or 8 + lipschitz / (1 - lipschitz) on average for the series; forward
    several Newton steps of as much, or beyond 100 features some hundred passes. Gradients of the latter need a matrix
    (D, D) for each row.

    Source: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen 2019, arXiv:1811.00995; Chen, Behrmann, Duvenaud and
    Jacobsen 2019, arXiv:1906.02735 (the estimate, and silu).

    Example:
        >>> layer = Residual(3).double()
        >>> x = torch.randn(5, 3, dtype=torch.float64)
        >>> z, log_det = layer.inverse(x)
        >>> torch.allclose(layer(z)[0], x, atol=1e-12)
        True
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        hidden: Sequence[int] = (64, 64),
        activation: str = "silu",
        lipschitz: float = 0.97,
        log_det: str = "auto",
    ):
        super().__init__()
        if not 0 < lipschitz < 1:
            raise ValueError(f"lipschitz must lie between 0 and 1 for the map to be invertible, got {lipschitz}.")
        if log_det not in LOG_DETS:
            raise ValueError(f"log_det must be one of {', '.join(LOG_DETS)}; it is {log_det!r}.")
        self.features = features
        self.context_features = context
        self.lipschitz = lipschitz
        self.estimates = log_det == "series" or (log_det == "auto" and features > EXACT_FEATURES)
        self.network = LinearizedMLP(features, hidden, activation, context)
        # The slopes of the activations count as well.
        self.steepest = STEEPEST[activation]

    @property
    def cost(self) -> Cost:
        """A fixed point from z to x, 1 pass from x to z."""
        return Cost("fixed point", "1 pass")

    @in_full_precision
    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve x + g(x) = z."""
        z, conditions, weights = self._given(z, context)
        step = self._step(conditions, weights)
        x = solve_contraction(step, z, self.lipschitz, newton=self.features <= EXACT_FEATURES)
        return x, -self._log_det(self.network.linearized(x, conditions, weights)[1], x)

    @in_full_precision
    def forward_with_report(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, RootReport]:
        """x, (*batch, D), as `forward` finds it, without gradients, and how the search for it converged.

        The report has, for each row, whether it converged, how many evaluations of g it took, and its residual
        |x + g(x) - z|; it raises nothing where a row did not converge.
        """
        z, conditions, weights = self._given(z, context)
        step = self._step(conditions, weights)
        return search_contraction(step, z, self.lipschitz, newton=self.features <= EXACT_FEATURES)

    @in_full_precision
    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take the step of g."""
        self.check_event(x)
        value, linearization = self.network.linearized(x, self._conditions(context), self._weights())
        z = x + value
        return z, self._log_det(linearization, z)

    def log_det_with_error(self, x: Tensor, context: Tensor | None = None, repeats: int = 16) -> tuple[Tensor, Tensor]:
        """log|det ∂z/∂x| at x, and its standard error, both (*batch): the mean of several estimates.

        Where log_det is exact, the error is 0.
        """
        linearization = self.network.linearized(x, self._conditions(context), self._weights())[1]
        like = x if context is None else torch.broadcast_tensors(x, context[..., :1])[0]
        if not self.estimates:
            exact = self._log_det(linearization, like)
            return exact, torch.zeros_like(exact)
        estimates = torch.stack([self._log_det(linearization, like) for _ in range(repeats)])
        return estimates.mean(0), estimates.std(0) / repeats**0.5

    def _given(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """z in the whole batch, and the conditions and weights of g."""
        self.check_event(z)
        conditions = self._conditions(context)
        if conditions is not None:
            z, _ = torch.broadcast_tensors(z, conditions[..., :1])
        return z, conditions, self._weights()

    def _step(self, conditions: Tensor | None, weights: list[Tensor]) -> Contraction:
        """g, with its Jacobian."""

        def step(x: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
            value, linearization = self.network.linearized(x, conditions, weights)
            return value, linearization.matrix

        return step

    def _conditions(self, context: Tensor | None) -> Tensor | None:
        return checked_context(context, self.context_features) if self.context_features else None

    def _weights(self) -> list[Tensor]:
        """Those of g, of which the product of all norms and slopes is at most `lipschitz`."""
        weights = self.network.weights()
        share = (self.lipschitz / self.steepest ** (len(weights) - 1)) ** (1 / len(weights))
        return [bounded(weight, share) for weight in weights]

    def _log_det(self, linearization: Linearization, like: Tensor) -> Tensor:
        """log|det(1 + J)|, or an estimate of it, in the batch of a value (*batch, D)."""
        if self.estimates:
            return series_estimate(linearization, like, self.lipschitz)
        jacobian = linearization.matrix()
        one = torch.eye(self.features, dtype=jacobian.dtype, device=jacobian.device)
        return torch.linalg.slogdet(one + jacobian).logabsdet


def series_estimate(linearization: Linearization, like: Tensor, chance: float) -> Tensor:
    """An unbiased estimate of log|det(1 + J)|, (*batch), by Russian roulette over the terms of its series.

    Arguments:
        linearization: J, a contraction.
        like: a tensor of the shape, precision and device of the value, (*batch, D).
        chance: of each term after those that are always taken, given that the one before is taken.
    """
    # One number of terms for all rows, so that a pass serves the whole batch.
    more = int(torch.empty((), dtype=torch.float64).geometric_(1 - chance)) - 1
    signs = torch.empty_like(like).bernoulli_(0.5).mul_(2).sub_(1)
    vector, total = signs, like.new_zeros(like.shape[:-1])
    for k in range(1, SURE_TERMS + more + 1):
        vector = linearization.times(vector)
        taken = chance ** max(k - SURE_TERMS, 0)
        total = total + (-1) ** (k + 1) / (k * taken) * (vector * signs).sum(-1)
    return total

"""A smooth multilayer perceptron of rows whose Jacobian is known in closed form, next to its value."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.support.suggestions import nearest

# a(h) with a'(h) for the Jacobian; both are smooth, so that the Jacobian has gradients in turn.
Linearized = Callable[[Tensor], tuple[Tensor, Tensor]]


def silu(h: Tensor) -> tuple[Tensor, Tensor]:
    """h σ(h), and its slope, which lies between -0.1 and 1.1."""
    sigmoid = h.sigmoid()
    return h * sigmoid, sigmoid * (1 + h * (1 - sigmoid))


def tanh(h: Tensor) -> tuple[Tensor, Tensor]:
    """The hyperbolic tangent, and its slope, which lies between 0 and 1."""
    value = h.tanh()
    return value, 1 - value.square()


# Each alone, as torch computes it fastest, and with its slope.
SMOOTH: dict[str, tuple[Callable[[Tensor], Tensor], Linearized]] = {
    "silu": (functional.silu, silu),
    "tanh": (torch.tanh, tanh),
}
# A matrix is squared so many times before its entries are of size 1 again.
SQUARINGS_OF_A_SCALE = 3
# No slope of an activation is above this.
STEEPEST = {"silu": 1.1, "tanh": 1.0}


class Linearization(NamedTuple):
    """The Jacobian J = W_L diag(slope_L) ... W_1 diag(slope_1) W_0 of a network at each row, as its factors.

    Attributes:
        weights: W_0, (h_1, D), to W_L, (D, h_L).
        slopes: of the activations of each hidden layer, (*batch, h_k).
    """

    weights: list[Tensor]
    slopes: list[Tensor]

    def times(self, vector: Tensor) -> Tensor:
        """J vector, (*batch, D): one more pass through the network."""
        for weight, slope in zip(self.weights, self.slopes, strict=False):
            vector = functional.linear(vector, weight) * slope
        return functional.linear(vector, self.weights[-1])

    def matrix(self) -> Tensor:
        """J, (*batch, D, D): D passes."""
        columns = self.weights[0].t()
        for weight, slope in zip(self.weights[1:], self.slopes, strict=True):
            columns = functional.linear(columns * slope[..., None, :], weight)
        return columns.mT

    @property
    def has_cheap_trace(self) -> bool:
        """Whether `trace` takes about one pass, whatever D is: so it does up to two hidden layers."""
        return len(self.slopes) <= 2

    def trace(self) -> Tensor:
        """tr J, (*batch).

        With one hidden layer it is slope · diag(W_0 W_1), with two slope_2ᵀ (W_1 ∘ (W_0 W_2)ᵀ) slope_1, since a trace
        is the same for every cyclic order of its factors. With more it is the trace of `matrix`.
        """
        if len(self.slopes) == 1:
            (first,), (before, after) = self.slopes, self.weights
            return functional.linear(first, (before * after.t()).sum(1)[None])[..., 0]
        if len(self.slopes) == 2:
            (first, second), (before, between, after) = self.slopes, self.weights
            return (functional.linear(first, between * (before @ after).t()) * second).sum(-1)
        return self.matrix().diagonal(dim1=-2, dim2=-1).sum(-1)


class LinearizedMLP(nn.Module):
    """g(x; conditions) and its Jacobian: h_1 = W_0 x + V_0 conditions + b_0, h_k+1 = W_k a(h_k) + V_k conditions + b_k.

    Conditions, such as time and a context, enter every hidden layer by a shift, so that the Jacobian with respect to x
    is the product of the weights and the slopes of the activations: see `Linearization`.

    Arguments:
        features: D, of x and of g.
        hidden: widths of the hidden layers, at least one.
        activation: "silu" (default) or "tanh".
        conditions: number of conditions, default 0.

    Raises:
        ValueError: no hidden layer, or an unknown activation.

    Example:
        >>> network = LinearizedMLP(features=2, hidden=(8, 8)).double()
        >>> x = torch.randn(2, dtype=torch.float64)
        >>> g, linearization = network.linearized(x)
        >>> truth = torch.func.jacrev(lambda x: network.linearized(x)[0])(x)
        >>> torch.allclose(linearization.matrix(), truth), torch.allclose(linearization.trace(), truth.trace())
        (True, True)
    """

    def __init__(self, features: int, hidden: Sequence[int], activation: str = "silu", conditions: int = 0):
        super().__init__()
        if not hidden:
            raise ValueError("The network needs at least one hidden layer.")
        if activation not in SMOOTH:
            raise ValueError(f"There is no smooth activation {activation!r}; {nearest(activation, SMOOTH)}")
        self.features, self.conditions, self.activation = features, conditions, activation
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise([features, *hidden, features]))
        self.shifts = nn.ModuleList(nn.Linear(conditions, width, bias=False) for width in hidden if conditions)

    def weights(self) -> list[Tensor]:
        """W_0 to W_L."""
        return [layer.weight for layer in self.layers]  # type: ignore[misc]

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        """g, (*batch, D), at x, (*batch, D), and conditions, (*batch, conditions)."""
        activate, value, weights = SMOOTH[self.activation][0], x, self.weights()
        for k, weight in enumerate(weights[:-1]):
            value = activate(self._hidden(k, value, conditions, weight))
        return self._last(value, weights)

    def linearized(
        self, x: Tensor, conditions: Tensor | None = None, weights: list[Tensor] | None = None
    ) -> tuple[Tensor, Linearization]:
        """g and its Jacobian at x.

        Arguments:
            x: (*batch, D).
            conditions: (*batch, conditions), broadcast against the batch of x.
            weights: in place of `weights()`.
        """
        weights = self.weights() if weights is None else weights
        activate, value = SMOOTH[self.activation][1], x
        slopes: list[Tensor] = []
        for k, weight in enumerate(weights[:-1]):
            value, slope = activate(self._hidden(k, value, conditions, weight))
            slopes.append(slope)
        return self._last(value, weights), Linearization(weights, slopes)

    def _hidden(self, k: int, value: Tensor, conditions: Tensor | None, weight: Tensor) -> Tensor:
        """h of the hidden layer k."""
        h = functional.linear(value, weight, self.layers[k].bias)  # type: ignore[arg-type]
        return h if conditions is None else h + self.shifts[k](conditions)

    def _last(self, value: Tensor, weights: list[Tensor]) -> Tensor:
        return functional.linear(value, weights[-1], self.layers[-1].bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let g be 0 everywhere until training."""
        for parameter in self.layers[-1].parameters():
            parameter.zero_()


def norm_bound(matrix: Tensor, squarings: int = 5) -> Tensor:
    """A bound on the largest singular value of a matrix that is never below it: its Schatten norm of a high order.

    (Σ σ_i^p)^(1/p) with p = 4 · 2^squarings: between max σ and max σ · rank^(1/p), which for 128 rows and p = 128 is 4%
    above it. It is a smooth function of the matrix, the same in training and evaluation, unlike the estimates of power
    iteration, which lie below.

    Arguments:
        matrix: (a, b).
        squarings: of AᵀA or AAᵀ, whichever is smaller.

    Example:
        >>> round(float(norm_bound(torch.diag(torch.tensor([3.0, 1.0])))), 5)
        3.0
    """
    # No entry is above 1: the result is the same for every scale. A matrix of zeros takes another one's way, and is 0.
    largest = matrix.detach().abs().amax()
    zero = largest == 0
    largest = torch.where(zero, 1.0, largest)
    matrix = torch.where(zero, 1.0, matrix / largest)
    power = matrix @ matrix.t() if matrix.shape[0] <= matrix.shape[1] else matrix.t() @ matrix
    # gram^(2^k) = exp(2^k · log_size) · power. Three squarings of a matrix of norm 1 leave one of at least rank^-4.
    log_size = torch.zeros_like(largest)
    for k in range(squarings + 1):
        if k % SQUARINGS_OF_A_SCALE == 0 or k == squarings:
            size = torch.linalg.matrix_norm(power)
            power, log_size = power / size, log_size + size.log() / 2**k
        power = power @ power if k < squarings else power
    return torch.where(zero, 0.0, largest * (log_size / 2).exp())


def bounded(matrix: Tensor, bound: float) -> Tensor:
    """The matrix, shrunk so that its largest singular value is below a bound: W / √(1 + (‖W‖ / bound)²)."""
    return matrix / (1 + (norm_bound(matrix) / bound).square()).sqrt()

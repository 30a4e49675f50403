"""Bernstein polynomials: increasing as their coefficients are."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from pushforward.bijections.univariate.base import positive_slope, univariate
from pushforward.bijections.univariate.linear_tails import LinearTails, check_bound


@univariate("bernstein")
@dataclass(frozen=True)
class Bernstein(LinearTails):
    """z = Σ_k θ_k C(n, k) tᵏ (1 - t)ⁿ⁻ᵏ with t = (x + bound) / (2 bound), increasing as the coefficients θ_k are.

    ∂z/∂x = Σ_k slope_k C(n-1, k-1) tᵏ⁻¹ (1 - t)ⁿ⁻ᵏ, k = 1 .. n, an average of the slopes: θ_k - θ_{k-1} is
    2 bound / n · slope_k. Outside the box the map continues linearly.

    Parameters of a feature are a shift, and n slopes before a softplus. At 0 it is the identity. No slope is below a
    thousandth.

    Arguments:
        degree: n, default 16.
        bound: half the side of the box, default 5.

    Raises:
        ValueError: degree less than 1, or a bound that is not positive.

    Cost: inverse (x → z) closed form; forward (z → x) a scalar root, with gradients by the implicit function theorem.

    Source: Ramasinghe, Fernando, Khan and Barnes 2021, Robust normalizing flows using Bernstein-type polynomials,
    arXiv:2102.03509.

    Example:
        >>> bernstein = Bernstein(degree=3)
        >>> x, parameters = torch.tensor([-9.0, 0.5, 2.0]), torch.randn(3, bernstein.parameter_count)
        >>> z, log_derivative = bernstein.inverse(x, parameters)
        >>> torch.allclose(bernstein.forward(z, parameters)[0], x, atol=1e-4)
        True
    """

    degree: int = 16
    bound: float = 5.0

    def __post_init__(self) -> None:
        """Check the options."""
        if self.degree < 1:
            raise ValueError(f"The degree of Bernstein polynomials must be at least 1, got {self.degree}.")
        check_bound(self.bound)

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """A shift and n slopes."""
        return 1 + self.degree

    def within(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = Σ_k θ_k C(n, k) tᵏ (1 - t)ⁿ⁻ᵏ."""
        shift, slopes = parameters[..., 0], positive_slope(parameters[..., 1:])
        steps = 2 * self.bound / self.degree * slopes
        # The middle of the first and the last coefficient is the shift.
        coefficients = pad(steps.cumsum(-1), (1, 0)) - steps.sum(-1, keepdim=True) / 2
        t = ((x + self.bound) / (2 * self.bound))[..., None]
        lower = torch.ones_like(t)
        for _ in range(self.degree - 1):
            lower = _raised(lower, t)
        z = shift + (coefficients * _raised(lower, t)).sum(-1)
        return z, (slopes * lower).sum(-1).log()


def _raised(basis: Tensor, t: Tensor) -> Tensor:
    """The Bernstein polynomials of the next degree, (..., n + 2), from those of a degree, (..., n + 1)."""
    return pad((1 - t) * basis, (0, 1)) + pad(t * basis, (1, 0))

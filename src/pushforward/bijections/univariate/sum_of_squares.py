"""Sums of squared polynomials as derivatives, whose integrals are closed forms."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.bijections.univariate.base import SMALLEST_SLOPE, univariate
from pushforward.bijections.univariate.linear_tails import LinearTails, check_bound
from pushforward.support.autocast import in_full_precision

# Polynomials start with different slopes, at most this at the ends of the box: equal ones would stay equal.
SPREAD = 0.2


@univariate("sum_of_squares")
@dataclass(frozen=True)
class SumOfSquares(LinearTails):
    """∂z/∂x = s + (1 - s) Σ_k q_k(u)², q_k(u) = Σ_j a_kj uʲ, u = x / bound, with a smallest slope s of a thousandth.

    z = shift + s x + (1 - s) · bound · Σ_k Σ_i Σ_j a_ki a_kj uⁱ⁺ʲ⁺¹ / (i + j + 1) is its integral from 0, for |x| ≤
    bound. Outside the box the map continues linearly. Parameters of a feature are the shift, and the coefficients a_kj
    as displacements from where they start. At 0 the derivative is within 0.04 of 1.

    Arguments:
        polynomials: K, default 3.
        degree: of each polynomial, default 4; z is of degree 2 · degree + 1 in x.
        bound: half the side of the box, default 5.

    Raises:
        ValueError: less than one polynomial, a negative degree, or a bound that is not positive.

    Cost: inverse (x → z) closed form; forward (z → x) a scalar root, with gradients by the implicit function theorem.

    Source: Jaini, Selby and Yu 2019, Sum-of-squares polynomial flow, arXiv:1905.02325.

    Example:
        >>> squares = SumOfSquares(polynomials=2, degree=3)
        >>> x, parameters = torch.tensor([-9.0, 0.5, 2.0]), torch.randn(3, squares.parameter_count)
        >>> z, log_derivative = squares.inverse(x, parameters)
        >>> torch.allclose(squares.forward(z, parameters)[0], x, atol=1e-4)
        True
    """

    polynomials: int = 3
    degree: int = 4
    bound: float = 5.0

    def __post_init__(self) -> None:
        """Check the options."""
        if self.polynomials < 1 or self.degree < 0:
            raise ValueError(
                f"A sum of squares needs at least one polynomial, of degree 0 or more; got {self.polynomials} of "
                f"degree {self.degree}."
            )
        check_bound(self.bound)

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """The shift, and K · (degree + 1) coefficients."""
        return 1 + self.polynomials * (self.degree + 1)

    @in_full_precision
    def within(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The integral of the sum of squares, by its coefficients."""
        size = self.degree + 1
        starts = x.new_zeros(self.polynomials, size)
        starts[:, 0] = 1
        starts[:, 1:2] = SPREAD * torch.linspace(-1, 1, self.polynomials).to(starts)[:, None]
        a = parameters[..., 1:].unflatten(-1, (self.polynomials, size)) + starts / self.polynomials**0.5
        u = x / self.bound
        powers = [torch.ones_like(u)]
        for _ in range(self.degree):
            powers.append(powers[-1] * u)
        terms = a * torch.stack(powers, -1)[..., None, :]
        order = torch.arange(size, device=x.device).to(terms)
        integral = ((terms @ (1 / (order[:, None] + order + 1))) * terms).sum((-1, -2))
        slope = SMALLEST_SLOPE + (1 - SMALLEST_SLOPE) * terms.sum(-1).square().sum(-1)
        return parameters[..., 0] + x * (SMALLEST_SLOPE + (1 - SMALLEST_SLOPE) * integral), slope.log()

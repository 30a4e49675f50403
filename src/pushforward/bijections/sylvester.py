"""Sylvester flow: planar flow with M directions at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.planar import IDENTITY, above_minus_one, tanh_root
from pushforward.networks.amortized import Amortized
from pushforward.support.autocast import in_full_precision


class Sylvester(Bijection):
    """x = z + Q R tanh(S Qᵀz + b), Q with M orthonormal columns, R and S upper triangular.

    log_det = Σᵢ log1p(Rᵢᵢ Sᵢᵢ tanh'(sᵢ)), s = S Qᵀz + b, by Sylvester's identity. The map is invertible as
    Sᵢᵢ > 0 and Rᵢᵢ Sᵢᵢ = softplus(ρᵢ) - 1 > -1; M = 1 is the planar flow. (The paper bounds both diagonals by a tanh,
    which limits the stretch to 2. Changing the sign of Sᵢᵢ is the same as changing those of Rᵢᵢ and bᵢ.)

    Q is a product of M Householder reflections, cut to its first M columns.

    The inverse goes through y = Qᵀz, from its last entry to its first: each is a planar equation of one number given
    those after it. Then z = x - Q R tanh(s).

    Arguments:
        features: D.
        rank: M, from 1 to D.
        context: C; all weights are then a function of the context (amortized), default 0.
        hidden: widths of the hidden layers of that function, default (64,).

    Raises:
        ValueError: a rank outside 1 .. D; in `inverse`, SolverError if a root is not found.

    Cost: forward 1 pass; inverse M scalar roots.

    Source: van den Berg, Hasenclever, Tomczak and Welling 2018, arXiv:1803.05649.

    Example:
        >>> layer = Sylvester(4, rank=2).double()
        >>> z = torch.randn(5, 4, dtype=torch.float64)
        >>> x, log_det = layer(z)
        >>> torch.allclose(layer.inverse(x)[0], z)
        True
    """

    upper: Tensor

    def __init__(self, features: int, rank: int, context: int = 0, hidden: Sequence[int] = (64,)):
        super().__init__()
        if not 1 <= rank <= features:
            raise ValueError(f"rank must lie in 1 .. {features}, got {rank}.")
        self.features = features
        self.rank = rank
        self.context_features = context
        self.register_buffer("upper", torch.ones(rank, rank).triu(1).bool(), persistent=False)
        above = rank * (rank - 1) // 2
        # Reflections, R and S above their diagonals, log Sᵢᵢ, ρ, b. Start near the identity.
        self.sizes = [rank * features, above, above, rank, rank, rank]
        start = torch.cat(
            [
                torch.randn(rank * features),
                0.1 * torch.randn(2 * above + rank),
                IDENTITY + 0.1 * torch.randn(rank),
                torch.randn(rank),
            ]
        )
        self.parameters_of = Amortized(start, context, hidden)

    @property
    def cost(self) -> Cost:
        """1 pass from z to x, M scalar roots from x to z."""
        return Cost("1 pass", "scalar root" if self.rank == 1 else f"{self.rank} scalar roots")

    @in_full_precision
    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Push z within the span of Q."""
        self.check_event(z)
        columns, outer, inner, products, b = self._weights(context)
        h = (_times(inner, _times(columns.mT, z)) + b).tanh()
        return z + _times(columns, _times(outer, h)), torch.log1p(products * (1 - h.square())).sum(-1)

    @in_full_precision
    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for the entries of Qᵀz from the last to the first."""
        self.check_event(x)
        columns, outer, inner, products, b = self._weights(context)
        right = _times(columns.mT, x)
        y: list[Tensor] = []
        h: list[Tensor] = []
        for row in reversed(range(self.rank)):
            target, shift = right[..., row], b[..., row]
            for column, (y_after, h_after) in enumerate(zip(y, h, strict=True), start=row + 1):
                target = target - outer[..., row, column] * h_after
                shift = shift + inner[..., row, column] * y_after
            # y + R tanh(s) = target with s = S y + shift.
            s = tanh_root(inner[..., row, row] * target + shift, products[..., row])
            h.insert(0, s.tanh())
            y.insert(0, target - outer[..., row, row] * h[0])
        pushed = torch.stack(h, -1)
        return x - _times(columns, _times(outer, pushed)), -torch.log1p(products * (1 - pushed.square())).sum(-1)

    def _weights(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Q, R, S, the products of their diagonals, and b."""
        reflections, above_outer, above_inner, log_inner, rho, b = self.parameters_of(context).split(self.sizes, -1)
        products, diagonal = above_minus_one(rho), log_inner.exp()
        outer = self._triangle(above_outer, products / diagonal)
        return (
            _orthonormal(reflections.unflatten(-1, (self.rank, self.features))),
            outer,
            self._triangle(above_inner, diagonal),
            products,
            b,
        )

    def _triangle(self, above: Tensor, diagonal: Tensor) -> Tensor:
        """The upper triangular matrices of these entries."""
        places = (self.upper.flatten().cumsum(0) - 1).clamp_min(0).view_as(self.upper)
        if self.rank == 1:
            return diagonal[..., None]
        return torch.where(self.upper, above[..., places], 0.0) + torch.diag_embed(diagonal)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _orthonormal(reflections: Tensor) -> Tensor:
    """The first M columns, (*batch, D, M), of the product of M reflections, (*batch, M, D)."""
    rank, features = reflections.shape[-2:]
    columns = torch.eye(features, rank, dtype=reflections.dtype, device=reflections.device)
    for vector in reversed(reflections.unbind(-2)):
        squared = vector.square().sum(-1)[..., None, None]
        flat = squared < torch.finfo(vector.dtype).tiny
        across = vector[..., :, None] * (vector[..., None, :] @ columns)
        columns = columns - torch.where(flat, 0.0, 2 / torch.where(flat, 1.0, squared)) * across
    return columns

"""Univariate families as zuko and nflows have them, seen from our side: their maps lead from data to latent."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from pushforward.bijections.univariate.affine import Additive
from pushforward.bijections.univariate.base import Univariate
from pushforward.bijections.univariate.spline import RationalQuadraticSpline, through_knots


@dataclass(frozen=True)
class ZukoAffine(Univariate):
    """z = exp(log_scale) · x + shift, log_scale = a / (1 + |a / log slope|) for parameters shift and a.

    Arguments:
        slope: the smallest scale, default 1e-3.
    """

    slope: float = 1e-3
    parameter_count = 2
    affine = True

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = (z - shift) · exp(-log_scale)."""
        shift, log_scale = self._shift_and_log_scale(parameters)
        x = (z - shift) * (-log_scale).exp()
        return x, (-log_scale).expand_as(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = exp(log_scale) · x + shift."""
        shift, log_scale = self._shift_and_log_scale(parameters)
        z = log_scale.exp() * x + shift
        return z, log_scale.expand_as(z)

    def _shift_and_log_scale(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, scale = parameters.unbind(-1)
        return shift, _soft_clipped(scale, math.log(self.slope))


@dataclass(frozen=True)
class ZukoSpline(Univariate):
    """A rational quadratic spline from x to z whose widths, heights and slopes are soft-clipped before softmax and exp.

    Arguments:
        bins: K, default 8.
        bound: half the side of the box, default 5.
        slope: the smallest slope at a knot, default 1e-3.
    """

    bins: int = 8
    bound: float = 5.0
    slope: float = 1e-3

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """K widths, K heights, and the slopes at K - 1 inner knots."""
        return 3 * self.bins - 1

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of zuko's spline, slope 1 outside the box."""
        return self._through(z, parameters, inverse=True)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Zuko's spline, slope 1 outside the box."""
        return self._through(x, parameters, inverse=False)

    def _through(self, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        value = value.expand(torch.broadcast_shapes(value.shape, parameters.shape[:-1]))
        parameters = parameters.expand(*value.shape, -1).movedim(-1, -2)
        widths, heights, slopes = parameters.tensor_split([self.bins, 2 * self.bins], -2)
        limit = math.log(self.slope)
        x_knots = self._positions(_soft_clipped(widths, limit / 2))
        z_knots = self._positions(_soft_clipped(heights, limit / 2))
        slopes = pad(_soft_clipped(slopes, limit), (0, 0, 1, 1)).exp()
        # Before any arithmetic, so that points outside have finite gradients too.
        inside = value.clamp(-self.bound, self.bound)
        inner = (z_knots if inverse else x_knots)[..., 1:-1, :]
        piece = (inside.unsqueeze(-2) >= inner).sum(-2)
        mapped, log_derivative = through_knots(inside, x_knots, z_knots, slopes, piece, inverse)
        return mapped + (value - inside), log_derivative

    def _positions(self, sizes: Tensor) -> Tensor:
        shares = sizes.softmax(-2)[..., :-1, :].cumsum(-2)
        inner = self.bound * (2 * shares - 1)
        end = torch.full_like(sizes[..., :1, :], self.bound)
        return torch.cat([-end, inner, end], -2)


@dataclass(frozen=True)
class NflowsAffine(Univariate):
    """z = scale · x + shift, of parameters u and shift.

    Arguments:
        gate: how the scale comes from u: "softplus" (default), softplus(u) + 1e-3, as in nflows' autoregressive layers,
            or "sigmoid", sigmoid(u + 2) + 1e-3, as in its coupling layers.
    """

    gate: str = "softplus"
    parameter_count = 2
    affine = True

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = (z - shift) / scale."""
        scale, shift = self._scale_and_shift(parameters)
        x = (z - shift) / scale
        return x, -scale.log().expand_as(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = scale · x + shift."""
        scale, shift = self._scale_and_shift(parameters)
        z = scale * x + shift
        return z, scale.log().expand_as(z)

    def _scale_and_shift(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        u, shift = parameters.unbind(-1)
        return (softplus(u) if self.gate == "softplus" else torch.sigmoid(u + 2)) + 1e-3, shift


@dataclass(frozen=True)
class InverseSpline(RationalQuadraticSpline):
    """`RationalQuadraticSpline` from x to z, as nflows has it."""

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of the spline."""
        return self._apply(z, parameters, inverse=True)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The spline."""
        return self._apply(x, parameters, inverse=False)


FAMILIES: dict[str, type[Univariate]] = {
    "additive": Additive,
    "inverse_spline": InverseSpline,
    "nflows_affine": NflowsAffine,
    "zuko_affine": ZukoAffine,
    "zuko_spline": ZukoSpline,
}


def _soft_clipped(value: Tensor, limit: float) -> Tensor:
    """value / (1 + |value / limit|), within ±|limit|."""
    return value / (1 + (value / limit).abs())

"""Shifts and scales: the maps of NICE, RealNVP and MAF."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.bijections.univariate.base import Univariate, soft_bound, univariate
from pushforward.kernels import structures
from pushforward.kernels.univariate import FAMILIES, SHAPES, Shape


@univariate("additive")
@dataclass(frozen=True)
class Additive(Univariate):
    """x = z + shift, volume preserving: log ∂x/∂z = 0. Source: NICE, Dinh et al. 2014, arXiv:1410.8516."""

    parameter_count = 1
    affine = True

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = z + shift."""
        x = z + parameters[..., 0]
        return x, torch.zeros_like(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = x - shift."""
        z = x - parameters[..., 0]
        return z, torch.zeros_like(z)


@univariate("affine")
@dataclass(frozen=True)
class Affine(Univariate):
    """x = shift + exp(log_scale) · z, log ∂x/∂z = log_scale.

    log_scale is the second parameter under `soft_bound`: no layer scales by more than exp(±log_scale_bound), so that
    training cannot diverge, and no gradient vanishes.

    Arguments:
        log_scale_bound: default log 1000, a scale within 1e-3 .. 1e3 in each layer.

    Source: RealNVP, Dinh et al. 2016, arXiv:1605.08803; MAF, Papamakarios et al. 2017, arXiv:1705.07057.
    """

    log_scale_bound: float = math.log(1e3)
    parameter_count = 2
    affine = True

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = shift + exp(log_scale) · z."""
        shift, log_scale = parameters.unbind(-1)
        log_scale = soft_bound(log_scale, self.log_scale_bound)
        x = torch.addcmul(shift, log_scale.exp(), z)
        return x, log_scale.expand_as(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = (x - shift) · exp(-log_scale)."""
        shift, log_scale = parameters.unbind(-1)
        log_derivative = -soft_bound(log_scale, self.log_scale_bound)
        z = (x - shift) * log_derivative.exp()
        return z, log_derivative.expand_as(z)


@univariate("relative_affine")
@dataclass(frozen=True)
class RelativeAffine(Affine):
    """x = exp(log_scale) · (z + shift), log ∂x/∂z = log_scale: the maps of `Affine`, shifts in units of the scale.

    Where scales span decades, as those of sound do between a pause and a vowel, a change of this shift has the same
    effect on a density everywhere; a change of the shift of `Affine` has most effect where the scale is smallest.

    Arguments:
        log_scale_bound: default log 1000, a scale within 1e-3 .. 1e3 in each layer.

    Example:
        >>> RelativeAffine().forward(torch.tensor(1.0), torch.tensor([0.5, 0.0]))[0]
        tensor(1.5000)
    """

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = exp(log_scale) · (z + shift)."""
        shift, log_scale = parameters.unbind(-1)
        log_scale = soft_bound(log_scale, self.log_scale_bound)
        x = log_scale.exp() * (z + shift)
        return x, log_scale.expand_as(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = x · exp(-log_scale) - shift."""
        shift, log_scale = parameters.unbind(-1)
        log_derivative = -soft_bound(log_scale, self.log_scale_bound)
        z = x * log_derivative.exp() - shift
        return z, log_derivative.expand_as(z)


FAMILIES[Additive] = lambda additive: structures.Univariate(structures.ADDITIVE)
FAMILIES[Affine] = lambda affine: structures.Univariate(structures.AFFINE, affine.log_scale_bound)
SHAPES[Additive] = lambda additive: Shape(structures.ADDITIVE)
SHAPES[Affine] = lambda affine: Shape(structures.AFFINE, affine.log_scale_bound)

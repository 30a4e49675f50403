"""Invertible maps x = f(z), one idea a file."""

from pushforward.bijections.actnorm import ActNorm
from pushforward.bijections.autoregressive import Autoregressive
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.compose import Compose, Inverse
from pushforward.bijections.constrained import Constrained, ordered
from pushforward.bijections.continuous import Continuous
from pushforward.bijections.coupling import Coupling
from pushforward.bijections.elementwise import Elementwise, ElementwiseAffine, Rescaling
from pushforward.bijections.linear import LU, Householder
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.permutation import Permutation
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial
from pushforward.bijections.residual import Residual
from pushforward.bijections.standardized import Standardized
from pushforward.bijections.sylvester import Sylvester
from pushforward.bijections.tails import TailTransform
from pushforward.bijections.univariate import (
    UNIVARIATES,
    Additive,
    Affine,
    Bernstein,
    Chain,
    LogisticMixture,
    MonotoneNetwork,
    RationalQuadraticSpline,
    RelativeAffine,
    SinhArcsinh,
    SumOfSquares,
    Univariate,
    soft_bound,
)

__all__ = [
    "LU",
    "UNIVARIATES",
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "Bernstein",
    "Bijection",
    "Chain",
    "Compose",
    "Constrained",
    "Continuous",
    "Cost",
    "Coupling",
    "Elementwise",
    "ElementwiseAffine",
    "Householder",
    "Inverse",
    "LogisticMixture",
    "MarginalSpline",
    "MonotoneNetwork",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadraticSpline",
    "RelativeAffine",
    "Rescaling",
    "Residual",
    "SinhArcsinh",
    "Standardized",
    "SumOfSquares",
    "Sylvester",
    "TailTransform",
    "Univariate",
    "ordered",
    "soft_bound",
]

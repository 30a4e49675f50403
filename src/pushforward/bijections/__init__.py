"""Invertible maps x = f(z), one idea a file."""

from pushforward.bijections.actnorm import ActNorm
from pushforward.bijections.autoregressive import Autoregressive
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.compose import Compose, Inverse
from pushforward.bijections.constrained import Constrained, ordered
from pushforward.bijections.continuous import Continuous
from pushforward.bijections.convolution import Convolution1x1
from pushforward.bijections.coupling import Coupling
from pushforward.bijections.elementwise import Elementwise, ElementwiseAffine, Rescaling
from pushforward.bijections.image_coupling import ImageCoupling
from pushforward.bijections.intensities import Intensities
from pushforward.bijections.linear import LU, Householder
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.patches import PatchAutoregressive
from pushforward.bijections.permutation import Permutation
from pushforward.bijections.pixelwise import Pixelwise
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial
from pushforward.bijections.residual import Residual
from pushforward.bijections.split import Split
from pushforward.bijections.squeeze import squeeze
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
    "Convolution1x1",
    "Cost",
    "Coupling",
    "Elementwise",
    "ElementwiseAffine",
    "Householder",
    "ImageCoupling",
    "Intensities",
    "Inverse",
    "LogisticMixture",
    "MarginalSpline",
    "MonotoneNetwork",
    "PatchAutoregressive",
    "Permutation",
    "Pixelwise",
    "Planar",
    "Radial",
    "RationalQuadraticSpline",
    "RelativeAffine",
    "Rescaling",
    "Residual",
    "SinhArcsinh",
    "Split",
    "Standardized",
    "SumOfSquares",
    "Sylvester",
    "TailTransform",
    "Univariate",
    "ordered",
    "soft_bound",
    "squeeze",
]

"""Invertible maps x = f(z), one idea a file."""

from pushforward.bijections.actnorm import ActNorm
from pushforward.bijections.autoregressive import Autoregressive
from pushforward.bijections.base import Bijection, Compose, Cost, Inverse
from pushforward.bijections.constrained import Constrained, ordered
from pushforward.bijections.coupling import Coupling
from pushforward.bijections.elementwise import Elementwise, ElementwiseAffine, Rescaling
from pushforward.bijections.linear import LU, Householder
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.permutation import Permutation
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial
from pushforward.bijections.standardized import Standardized
from pushforward.bijections.sylvester import Sylvester
from pushforward.bijections.tails import TailTransform
from pushforward.bijections.univariate.base import Additive, Affine, RelativeAffine, Univariate, soft_bound
from pushforward.bijections.univariate.chain import Chain
from pushforward.bijections.univariate.logistic_mixture import LogisticMixture
from pushforward.bijections.univariate.spline import RationalQuadraticSpline

__all__ = [
    "LU",
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "Bijection",
    "Chain",
    "Compose",
    "Constrained",
    "Cost",
    "Coupling",
    "Elementwise",
    "ElementwiseAffine",
    "Householder",
    "Inverse",
    "LogisticMixture",
    "MarginalSpline",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadraticSpline",
    "RelativeAffine",
    "Rescaling",
    "Standardized",
    "Sylvester",
    "TailTransform",
    "Univariate",
    "ordered",
    "soft_bound",
]

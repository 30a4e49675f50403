"""Invertible maps x = f(z), one idea a file."""

from pushforward.bijections.autoregressive import Autoregressive
from pushforward.bijections.base import Bijection, Compose, Cost, Inverse
from pushforward.bijections.chained import Chained
from pushforward.bijections.constrained import Constrained, ordered
from pushforward.bijections.coupling import Coupling
from pushforward.bijections.elementwise import ElementwiseAffine, Rescaling
from pushforward.bijections.linear import LU, Householder
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.mixture import LogisticMixture
from pushforward.bijections.normalization import ActNorm
from pushforward.bijections.permutation import Permutation
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial
from pushforward.bijections.splines import RationalQuadraticSpline
from pushforward.bijections.standardized import Standardized
from pushforward.bijections.sylvester import Sylvester
from pushforward.bijections.tails import TailTransform
from pushforward.bijections.univariate import Additive, Affine, RelativeAffine, Univariate, soft_bound

__all__ = [
    "LU",
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "Bijection",
    "Chained",
    "Compose",
    "Constrained",
    "Cost",
    "Coupling",
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

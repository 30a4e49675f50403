"""Univariate families: increasing maps of one number, whose parameters a conditioner supplies."""

from pushforward.bijections.univariate.base import Additive, Affine, RelativeAffine, Univariate, soft_bound
from pushforward.bijections.univariate.chain import Chain
from pushforward.bijections.univariate.logistic_mixture import LogisticMixture
from pushforward.bijections.univariate.spline import RationalQuadraticSpline

__all__ = [
    "Additive",
    "Affine",
    "Chain",
    "LogisticMixture",
    "RationalQuadraticSpline",
    "RelativeAffine",
    "Univariate",
    "soft_bound",
]

"""Univariate families: increasing maps of one number, whose parameters a conditioner supplies."""

import importlib
import pkgutil

from pushforward.bijections.univariate.affine import Additive, Affine, RelativeAffine
from pushforward.bijections.univariate.base import UNIVARIATES, Univariate, soft_bound, univariate
from pushforward.bijections.univariate.bernstein import Bernstein
from pushforward.bijections.univariate.chain import Chain
from pushforward.bijections.univariate.logistic_mixture import LogisticMixture
from pushforward.bijections.univariate.monotone_network import MonotoneNetwork
from pushforward.bijections.univariate.sinh_arcsinh import SinhArcsinh
from pushforward.bijections.univariate.spline import RationalQuadraticSpline
from pushforward.bijections.univariate.sum_of_squares import SumOfSquares

__all__ = [
    "UNIVARIATES",
    "Additive",
    "Affine",
    "Bernstein",
    "Chain",
    "LogisticMixture",
    "MonotoneNetwork",
    "RationalQuadraticSpline",
    "RelativeAffine",
    "SinhArcsinh",
    "SumOfSquares",
    "Univariate",
    "soft_bound",
    "univariate",
]

# Every file here registers its families, without being named above.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

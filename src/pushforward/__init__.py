"""Normalizing flows: exact densities, exact samples and latent features through invertible maps."""

from pushforward import bijections, distributions, networks
from pushforward.bijections import Bijection, Compose, Inverse
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.store import describe, load, save
from pushforward.version import __version__
from pushforward.zoo import build, iaf, maf, nice, realnvp, standardized

__all__ = [
    "Bijection",
    "Compose",
    "Flow",
    "InputError",
    "Inverse",
    "__version__",
    "bijections",
    "build",
    "describe",
    "distributions",
    "iaf",
    "load",
    "maf",
    "networks",
    "nice",
    "realnvp",
    "save",
    "standardized",
]

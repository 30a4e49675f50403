"""The univariate families that the kernels know."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from pushforward.kernels import native
from pushforward.kernels.eligibility import fits_kernels, is_untransformed
from pushforward.kernels.structures import Univariate

MOST_BINS = 64

# How the kernels see a family; by exact type, since a subclass may compute something else.
FAMILIES: dict[type, Callable[[Any], Univariate]] = {}


@dataclass(frozen=True)
class Shape:
    """The numbers of a family, in full precision, as kernels read them that are compiled for each: those for GPUs.

    It is not a tuple, since Triton takes tuples apart.
    """

    family: int
    log_scale_bound: float = 0.0
    bins: int = 1
    tails: int = 0
    bound: float = 1.0
    smallest_bin: float = 0.0
    smallest_slope: float = 0.0
    slope_shift: float = 0.0

    def __getitem__(self, field: SupportsIndex) -> Any:
        """The number of a field, counted from 0; after the last one comes what the smallest bins leave of the box."""
        return (*astuple(self), 1 - self.bins * self.smallest_bin)[field]


SHAPES: dict[type, Callable[[Any], Shape]] = {}


def may_run_compiled(univariate: object, value: Tensor) -> bool:
    """Whether there are kernels, which know a family and may map these values now."""
    return (
        native is not None
        and type(univariate) in FAMILIES
        and getattr(univariate, "bins", 0) <= MOST_BINS
        and fits_kernels(value)
        and not torch.is_autocast_enabled("cpu")
        and is_untransformed()
    )


def compiled(univariate: object) -> Univariate:
    """A known family as the kernels see it."""
    return FAMILIES[type(univariate)](univariate)

"""The univariate families that the kernels know."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward.kernels import native
from pushforward.kernels.eligibility import fits_kernels, is_untransformed
from pushforward.kernels.structures import Univariate

MOST_BINS = 64

# How the kernels see a family; by exact type, since a subclass may compute something else.
FAMILIES: dict[type, Callable[[Any], Univariate]] = {}


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

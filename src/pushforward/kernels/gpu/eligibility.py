"""When the kernels for GPUs may run."""

import importlib.util
from functools import cache

import torch
from torch import Tensor, nn

from pushforward.kernels.eligibility import is_untransformed
from pushforward.kernels.univariate import MOST_BINS, SHAPES


@cache
def has_triton() -> bool:
    """Whether triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def lies_on_gpu(tensor: Tensor) -> bool:
    """Whether a tensor lies on a GPU whose kernels triton can make."""
    return tensor.is_cuda


def fits(tensor: Tensor) -> bool:
    """Whether a tensor is float32 or float64 on such a GPU, and not of a subclass."""
    return (
        tensor.dtype in (torch.float32, torch.float64)
        and lies_on_gpu(tensor)
        and type(tensor) in (Tensor, nn.Parameter)
    )


def may_run_on_gpu(univariate: object, value: Tensor) -> bool:
    """Whether there are kernels for these values, which know a family and may map them now."""
    return (
        fits(value)
        and type(univariate) in SHAPES
        and getattr(univariate, "bins", 0) <= MOST_BINS
        and not torch.is_autocast_enabled(value.device.type)
        and is_untransformed()
        and has_triton()
    )

"""When the kernels for GPUs may run."""

import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor, nn

from pushforward.kernels import VARIABLE
from pushforward.kernels.eligibility import is_untransformed
from pushforward.kernels.univariate import MOST_BINS, SHAPES

# The first with the tensor cores that the products use.
LEAST_CAPABILITY = (8, 0)
# The first that the kernels were compiled with.
LEAST_TRITON = (3, 6)
TENSORS = (nn.Parameter, Tensor)


@cache
def has_triton() -> bool:
    """Whether a triton is installed that compiles the kernels, and kernels are not switched off."""
    try:
        installed = version("triton").split(".")
    except PackageNotFoundError:
        return False
    return os.environ.get(VARIABLE) != "none" and (int(installed[0]), int(installed[1])) >= LEAST_TRITON


@cache
def _is_capable(device: torch.device) -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def lies_on_gpu(tensor: Tensor) -> bool:
    """Whether a tensor lies on a GPU that the kernels are made for: NVIDIA's since Ampere."""
    return tensor.is_cuda and _is_capable(tensor.device)


def fits(tensor: Tensor) -> bool:
    """Whether a tensor is float32 or float64 on such a GPU, and not of a subclass."""
    return tensor.dtype in (torch.float32, torch.float64) and type(tensor) in TENSORS and lies_on_gpu(tensor)


def fits_beside(value: Tensor) -> Callable[[Tensor], bool]:
    """Which weights and contexts kernels take together with a value that they take: those of its kind and device."""
    dtype, device = value.dtype, value.device
    return lambda tensor: tensor.dtype is dtype and type(tensor) in TENSORS and tensor.device == device


def may_run_on_gpu(univariate: object, value: Tensor) -> bool:
    """Whether there are kernels for these values, which know a family and may map them now."""
    return (
        is_untransformed()  # first: a compiler that traces this stops here
        and fits(value)
        and type(univariate) in SHAPES
        and getattr(univariate, "bins", 0) <= MOST_BINS
        and not torch.is_autocast_enabled(value.device.type)
        and has_triton()
    )

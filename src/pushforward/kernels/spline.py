"""Rational quadratic splines in one pass over memory: values, log-derivatives, and the gradients of both."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.kernels import Native, native
from pushforward.kernels.eligibility import is_plain

MOST_BINS = 64
# Fewer parameters are not worth waking a second thread.
FEWEST_FOR_THREADS = 2**14


class SplineShape(NamedTuple):
    """What all splines of a call share; see `pushforward.bijections.RationalQuadraticSpline`."""

    bins: int
    tails: int
    bound: float
    smallest_bin: float
    smallest_slope: float
    slope_shift: float


def functions_of(library: Native) -> tuple[Callable[..., None], Callable[..., None]]:
    """The two kernels: of values, and of gradients."""
    return (
        library.function("spline_apply", "lliiffffiplpllppi"),
        library.function("spline_gradients", "lliiffffippllppppi"),
    )


if native is not None:
    _apply, _gradients = functions_of(native)


def has_kernel(value: Tensor, parameters: Tensor, bins: int) -> bool:
    """Whether the kernels take these tensors: float32, on a processor, not transformed."""
    return (
        native is not None
        and value.dtype == parameters.dtype == torch.float32
        and value.is_cpu
        and parameters.is_cpu
        and bins <= MOST_BINS
        and is_plain()
    )


def spline_apply(shape: SplineShape, value: Tensor, parameters: Tensor, backwards: bool) -> tuple[Tensor, Tensor]:
    """The spline of each value and the logarithm of its slope there; `backwards`, its inverse and that one's.

    Arguments:
        shape: bins, tails and sizes.
        value: (F, n).
        parameters: (F, P, n).
        backwards: the direction.

    Returns:
        Value and log-derivative, both (F, n).
    """
    value = value if value.stride(1) == 1 or value.shape[1] == 1 else value.contiguous()
    parameters = parameters if parameters.stride(2) == 1 or value.shape[1] == 1 else parameters.contiguous()
    features, count = value.shape
    there, log_derivative = (value.new_empty(features, count) for _ in range(2))
    _apply(
        count,
        features,
        *shape,
        backwards,
        value.data_ptr(),
        value.stride(0),
        parameters.data_ptr(),
        parameters.stride(0),
        parameters.stride(1),
        there.data_ptr(),
        log_derivative.data_ptr(),
        _threads(parameters),
    )
    return there, log_derivative


def spline_gradients(
    shape: SplineShape, value: Tensor, parameters: Tensor, backwards: bool, of_there: Tensor, of_log: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the two results of `spline_apply`.

    Arguments:
        shape: bins, tails and sizes.
        value: (F, n).
        parameters: (F, P, n).
        backwards: the direction.
        of_there: gradient with respect to its value, (F, n).
        of_log: gradient with respect to its log-derivative, (F, n).

    Returns:
        Gradients with respect to what it was given: value, (F, n), and parameters, (F, P, n).
    """
    value, parameters, of_there, of_log = (tensor.contiguous() for tensor in (value, parameters, of_there, of_log))
    features, count = value.shape
    of_value, of_parameters = torch.empty_like(value), torch.empty_like(parameters)
    _gradients(
        count,
        features,
        *shape,
        backwards,
        value.data_ptr(),
        parameters.data_ptr(),
        parameters.stride(0),
        parameters.stride(1),
        of_there.data_ptr(),
        of_log.data_ptr(),
        of_value.data_ptr(),
        of_parameters.data_ptr(),
        _threads(parameters),
    )
    return of_value, of_parameters


def _threads(parameters: Tensor) -> int:
    return torch.get_num_threads() if parameters.numel() >= FEWEST_FOR_THREADS else 1

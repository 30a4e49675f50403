"""Rational quadratic splines in one pass over memory: values, log-derivatives, and the gradients of both."""

from collections.abc import Callable
from ctypes import byref

import torch
from torch import Tensor

from pushforward.kernels import Native, native
from pushforward.kernels.eligibility import derivatives_wanted, is_untransformed
from pushforward.kernels.structures import Spline, SplineCall
from pushforward.kernels.threads import thread_count
from pushforward.kernels.univariate import MOST_BINS

# For fewer parameters it takes longer to wake a second thread than to compute.
FEWEST_FOR_THREADS = 2**14


def functions_of(library: Native) -> tuple[Callable[..., None], ...]:
    """The kernels: of values, of values in float64, and of gradients."""
    return (
        library.function("spline_apply", SplineCall),
        library.function("spline_apply_float64", SplineCall),
        library.function("spline_gradients", SplineCall),
    )


if native is not None:
    _apply, _apply_float64, _gradients = functions_of(native)


def has_kernel(value: Tensor, parameters: Tensor, bins: int) -> bool:
    """Whether the kernels take these tensors: of a precision that they compute now, on a processor, not transformed."""
    return (
        native is not None
        and value.dtype == parameters.dtype
        and (value.dtype is torch.float32 or (value.dtype is torch.float64 and not derivatives_wanted()))
        and value.is_cpu
        and parameters.is_cpu
        and bins <= MOST_BINS
        and is_untransformed()
    )


def spline_apply(spline: Spline, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
    """The spline of each value and the logarithm of its slope, or those of its inverse.

    Arguments:
        spline: bins, tails and sizes.
        value: (F, n).
        parameters: (F, P, n).
        inverse: the direction.

    Returns:
        The mapped value and the log-derivative, both (F, n).
    """
    value = value if value.stride(1) == 1 or value.shape[1] == 1 else value.contiguous()
    parameters = parameters if parameters.stride(2) == 1 or value.shape[1] == 1 else parameters.contiguous()
    mapped, log_derivative = (value.new_empty(value.shape) for _ in range(2))
    call = _call(spline, value, parameters, inverse)
    call.mapped, call.log_derivative = mapped.data_ptr(), log_derivative.data_ptr()
    apply = _apply if value.dtype is torch.float32 else _apply_float64
    apply(byref(call))
    return mapped, log_derivative


def spline_gradients(
    spline: Spline, value: Tensor, parameters: Tensor, inverse: bool, of_mapped: Tensor, of_log_derivative: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the two results of `spline_apply`.

    Arguments:
        spline: bins, tails and sizes.
        value: (F, n).
        parameters: (F, P, n).
        inverse: the direction.
        of_mapped: gradient with respect to the mapped value, (F, n).
        of_log_derivative: gradient with respect to the log-derivative, (F, n).

    Returns:
        Gradients with respect to value, (F, n), and parameters, (F, P, n).
    """
    value, parameters = value.contiguous(), parameters.contiguous()
    of_mapped, of_log_derivative = of_mapped.contiguous(), of_log_derivative.contiguous()
    of_value, of_parameters = torch.empty_like(value), torch.empty_like(parameters)
    call = _call(spline, value, parameters, inverse)
    call.of_mapped, call.of_log_derivative = of_mapped.data_ptr(), of_log_derivative.data_ptr()
    call.of_value, call.of_parameters = of_value.data_ptr(), of_parameters.data_ptr()
    _gradients(byref(call))
    return of_value, of_parameters


def _call(spline: Spline, value: Tensor, parameters: Tensor, inverse: bool) -> SplineCall:
    features, count = value.shape
    return SplineCall(
        spline,
        inverse,
        thread_count() if parameters.numel() >= FEWEST_FOR_THREADS else 1,
        count,
        features,
        value.stride(0),
        parameters.stride(0),
        parameters.stride(1),
        value.data_ptr(),
        parameters.data_ptr(),
    )

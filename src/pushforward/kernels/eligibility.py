"""When kernels may run, and the derivatives of their results where they may not."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def derivatives_wanted() -> bool:
    """Whether results must carry derivatives, backward or forward.

    `torch.no_grad` switches off backward mode alone: `torch.func.jvp` and `jacfwd` differentiate within it.

    Example:
        >>> with torch.no_grad():
        ...     derivatives_wanted()
        False
    """
    return torch.is_grad_enabled() or forward_ad._current_level >= 0


def is_untransformed() -> bool:
    """Whether operations run one by one, in ordinary automatic differentiation at most.

    Not under torch.compile, in automatic differentiation in forward mode, or in a transform of torch.func: these know
    only torch's own operations.
    """
    return not (
        torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    )


def is_float32_on_cpu(tensor: Tensor) -> bool:
    """Whether a tensor is float32 on a processor, and not of a subclass."""
    return tensor.dtype is torch.float32 and tensor.is_cpu and type(tensor) in (Tensor, nn.Parameter)


def is_float64_on_cpu(tensor: Tensor) -> bool:
    """Whether a tensor is float64 on a processor, and not of a subclass."""
    return tensor.dtype is torch.float64 and tensor.is_cpu and type(tensor) in (Tensor, nn.Parameter)


def fits_with(value: Tensor) -> Callable[[Tensor], bool]:
    """Which weights and contexts kernels take together with a value that they take: those of its precision."""
    return is_float32_on_cpu if value.dtype is torch.float32 else is_float64_on_cpu


def fits_kernels(tensor: Tensor) -> bool:
    """Whether kernels take values like this one: in float64 only where there is nothing to differentiate."""
    return is_float32_on_cpu(tensor) or (is_float64_on_cpu(tensor) and not derivatives_wanted())


def takes_gradients(*gradients: Tensor) -> bool:
    """Whether a kernel may compute a backward pass: one that is neither differentiated in turn nor vectorized."""
    batched = torch._C._functorch.is_legacy_batchedtensor
    return not torch.is_grad_enabled() and is_untransformed() and not any(batched(gradient) for gradient in gradients)


def gradients_by_torch(
    function: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    wanted: Sequence[bool],
    gradients: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """Gradients of inputs from those of the results of `function`, in operations of torch, differentiable in turn.

    Arguments:
        function: of the inputs, in operations of torch.
        inputs: its arguments.
        wanted: for each of them, whether its gradient is needed.
        gradients: of its results.

    Returns:
        For each input its gradient, or None.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        # A constant has no gradient to pass on, such as the log_det of a shift.
        pairs = [pair for pair in zip(function(*inputs), gradients, strict=True) if pair[0].requires_grad]
    needed = [tensor for tensor, want in zip(inputs, wanted, strict=True) if want]
    results, gradients = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(results, needed, gradients, create_graph=differentiable, allow_unused=True))
    return tuple(next(found) if want else None for want in wanted)

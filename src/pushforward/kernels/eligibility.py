"""When kernels may run, and the derivatives of what they compute where they may not."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def is_plain() -> bool:
    """Whether operations run one by one, in ordinary automatic differentiation at most.

    Not under torch.compile, in automatic differentiation in forward mode, or in a transform of torch.func: these know
    operations of torch alone.
    """
    return not (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )


def takes_gradients(*gradients: Tensor) -> bool:
    """Whether a kernel may serve a backward pass: one that is not differentiated in turn, nor vectorised."""
    batched = torch._C._functorch.is_legacy_batchedtensor
    return not torch.is_grad_enabled() and is_plain() and not any(batched(gradient) for gradient in gradients)


def gradients_by_torch(
    plainly: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    wanted: Sequence[bool],
    gradients: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """Gradients of inputs from those of the results of `plainly`, in operations of torch, differentiable in turn."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        # What is constant has no gradient to hand on, such as the log_det of a shift.
        pairs = [pair for pair in zip(plainly(*inputs), gradients, strict=True) if pair[0].requires_grad]
    needed = [tensor for tensor, want in zip(inputs, wanted, strict=True) if want]
    results, gradients = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(results, needed, gradients, create_graph=differentiable, allow_unused=True))
    return tuple(next(found) if want else None for want in wanted)

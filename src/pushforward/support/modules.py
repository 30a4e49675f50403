"""The tensors of a module: where they are, and freezing them for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.broadcasting import broadcast_shapes


def tensors(density: Any) -> Iterator[Tensor]:
    """Yield the parameters and buffers of a density; one that is not a module has none."""
    if isinstance(density, nn.Module):
        yield from density.parameters()
        yield from density.buffers()


def device_of(density: Any) -> torch.device:
    """Return the device of a density's parameters or buffers, the CPU if it has none."""
    return next((tensor.device for tensor in tensors(density)), torch.device("cpu"))


def check_tensor(value: object, name: str) -> None:
    """Refuse what is not a tensor, such as an array of NumPy."""
    if not isinstance(value, Tensor):
        found = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        raise InputError(
            f"A flow takes tensors, and {name} is a {found}; convert it by torch.as_tensor({name}, "
            "dtype=flow.reference.dtype, device=flow.reference.device)."
        )


def check_module(value: object, function: str, wanted: str, *methods: str) -> None:
    """Refuse what is not a module with some methods and a number of features, in place of a flow or a map.

    Example:
        >>> check_module(3, "fit", "a flow", "log_prob")
        Traceback (most recent call last):
        pushforward.errors.InputError: fit takes a flow, and not an object of type int.
    """
    if not isinstance(value, nn.Module) or not all(hasattr(value, name) for name in ("features", *methods)):
        kind = "the class" if isinstance(value, type) else "an object of type"
        name = value.__name__ if isinstance(value, type) else type(value).__name__
        raise InputError(f"{function} takes {wanted}, and not {kind} {name}.")


def explain_tensors(error: Exception | None, flow: nn.Module, **values: Tensor | None) -> None:
    """Say in one sentence why torch refuses some tensors, if their precision, device or shape is the reason.

    Asked only once torch has refused them: many flows take several precisions.

    Arguments:
        error: what torch said.
        flow: took the tensors.
        values: the tensors by name, each of shape (*batch, event).

    Raises:
        InputError: a tensor is on another device than the flow, or of a precision that none of its numbers has, or the
            batches do not broadcast.
    """
    own = [tensor for tensor in tensors(flow) if tensor.is_floating_point()]
    devices, kinds = {tensor.device for tensor in own}, {tensor.dtype for tensor in own}
    for name, value in values.items():
        if value is None or not own:
            continue
        if value.device not in devices:
            raise InputError(
                f"{name} is on the device {value.device}, the flow on {own[0].device}: move one of them, by "
                f"{name}.to(flow.reference.device) or flow.to({name}.device)."
            ) from error
        if value.dtype not in kinds:
            found, expected = (str(dtype).removeprefix("torch.") for dtype in (value.dtype, own[0].dtype))
            other = f", or the flow by flow.to({name}.dtype)" if value.is_floating_point() else ""
            raise InputError(
                f"{name} is {found}, the flow {expected}: convert {name} by {name}.to(flow.reference.dtype){other}."
            ) from error
    shapes = {name: tuple(value.shape) for name, value in values.items() if value is not None}
    try:
        broadcast_shapes(*(shape[:-1] for shape in shapes.values()))
    except RuntimeError:
        found = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"The batches, all dimensions but the last, do not broadcast: {found}.") from error


@contextmanager
def frozen(density: Any) -> Iterator[None]:
    """Put a density into eval mode, without gradients of its weights, inside the block; afterwards it is as before."""
    if not isinstance(density, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in density.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in density.parameters()]
    density.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, gradient in wanted:
            parameter.requires_grad_(gradient)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, to which it is sent without waiting for what that has to do before."""
    if device.type != "cuda" or not tensor.is_cpu:
        return tensor.to(device)
    # Only memory that the system keeps in place can be read while the processor goes on.
    return tensor.pin_memory().to(device, non_blocking=True)

"""The tensors of a module: where they are, and freezing them for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def tensors(density: Any) -> Iterator[Tensor]:
    """Yield the parameters and buffers of a density; one that is not a module has none."""
    if isinstance(density, nn.Module):
        yield from density.parameters()
        yield from density.buffers()


def device_of(density: Any) -> torch.device:
    """Return the device of a density's parameters or buffers, the CPU if it has none."""
    return next((tensor.device for tensor in tensors(density)), torch.device("cpu"))


def module_of(density: object) -> nn.Module:
    """The module that a density is.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(density, nn.Module):
        raise TypeError(f"A density that is trained is a torch.nn.Module; {type(density).__name__} is not.")
    return density


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

"""A limit on the numbers that building a flow may ask for, so that no model file can fill the memory."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pushforward.errors import InputError
from pushforward.support.broadcasting import broadcast_shapes

_OF_A_SIZE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full, torch.eye}
_OF_A_LENGTH = {torch.arange, torch.linspace, torch.randperm}


class AtMost(TorchFunctionMode):
    """Refuse, inside a `with` block, to make more new numbers than a limit, before memory is allocated for them.

    Tensors that are made from sizes are counted together; a tensor made from others, by broadcasting or repeating, may
    have no more than the limit by itself.

    Arguments:
        numbers: the limit.

    Raises:
        InputError: the block asks for more.

    Example:
        >>> with AtMost(1000):
        ...     torch.zeros(100, 100)
        Traceback (most recent call last):
        pushforward.errors.InputError: it asks for more than 1000 numbers, far more than its weights.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self._made = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count what a function will make, then call it."""
        kwargs = kwargs or {}
        made = 0
        if func in _OF_A_SIZE:
            size = kwargs.get("size", args)
            sizes = list(_integers(size[0] if func is torch.full and size else size))
            made = math.prod([*sizes, *sizes] if func is torch.eye and len(sizes) == 1 else sizes)
        elif func in _OF_A_LENGTH:
            made = max([*_integers(args), *_integers(kwargs.values())], default=0)
        self._made += made
        asked = max(self._made, self._derived(func, args, kwargs))
        if asked > self.numbers:
            raise InputError(f"it asks for more than {self.numbers} numbers, far more than its weights.")
        return func(*args, **kwargs)

    def _derived(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        tensors = [part for part in args if isinstance(part, Tensor)]
        if func is Tensor.repeat:
            return tensors[0].numel() * math.prod(_integers(args[1:]))
        if func in (Tensor.repeat_interleave, torch.repeat_interleave):
            return tensors[0].numel() * next(iter(_integers(kwargs.get("repeats", args[1:]))), 1)
        if len(tensors) < 2:
            return 0
        try:
            return math.prod(broadcast_shapes(*(part.shape for part in tensors)))
        except RuntimeError:  # no broadcasting, such as in a product of matrices
            return 0


def _integers(sizes: Any) -> Iterable[int]:
    """All integers in nested sequences."""
    if isinstance(sizes, bool):
        return
    if isinstance(sizes, int):
        yield sizes
    elif not isinstance(sizes, str | Tensor) and isinstance(sizes, Iterable):
        for size in sizes:
            yield from _integers(size)

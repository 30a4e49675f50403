"""The exponential moving average of a module's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of a module's trainable parameters, in their own dtype.

    The decay warms up as min(decay, (1 + t) / (10 + t)), so that the initial weights soon lose their influence.
    Parameters shared between modules are averaged once; buffers are not averaged. PyTorch's `AveragedModel` is not used
    because it deep-copies the whole module.

    Arguments:
        module: The module to follow; the average starts at its present weights.
        decay: The weight of the past in one update, in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
        self._average = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average toward the module's present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._average, self._parameters, 1.0 - decay)
        self.updates += 1

    def snapshot(self) -> list[Tensor]:
        """Return a copy of the averaged weights."""
        return [a.clone() for a in self._average]

    @torch.no_grad()
    def restore(self, snapshot: list[Tensor]) -> None:
        """Restore averaged weights copied by `snapshot`."""
        torch._foreach_copy_(self._average, snapshot)

    @torch.no_grad()
    def copy_to_module(self) -> None:
        """Overwrite the module's weights with the average."""
        torch._foreach_copy_(self._parameters, self._average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the averaged weights inside the `with` block, and its own again afterwards."""
        own = [p.detach().clone() for p in self._parameters]
        self.copy_to_module()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, own)

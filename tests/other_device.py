"""A device that is not the processor, as a GPU is: torch's own "meta", whose tensors have no values."""

import copy

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Elsewhere(TorchDispatchMode):
    """Within `with Elsewhere() as mode:` operations that mix devices raise, as they do on a GPU.

    A single number without dimensions may come from the processor, as anywhere in torch, and so may the indices of an
    indexing.

    Attributes:
        waits: how many operations needed a value on the processor. On a GPU they wait for all that is queued. Each
            value is answered by True, which ends a search.
    """

    waits = 0

    def __enter__(self):
        """Begin."""
        self._asked = torch.is_autocast_enabled  # which does not know this device
        torch.is_autocast_enabled = lambda device=None: device != "meta" and self._asked(*filter(None, [device]))
        return super().__enter__()

    def __exit__(self, *error):
        """End."""
        torch.is_autocast_enabled = self._asked
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Check an operation, and let it run."""
        name = function._schema.name.removeprefix("aten::")
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        if any(t.is_meta for t in tensors):
            strangers = [tuple(t.shape) for t in tensors if not t.is_meta and t.dim()]
            if strangers and name not in ("_to_copy", "copy_", "index"):
                raise AssertionError(f"{name} mixes devices: {strangers} on the processor.")
            if name in ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal"):
                self.waits += 1
                return True
        return function(*args, **(kwargs or {}))


def moved(module: nn.Module) -> nn.Module:
    """A copy of a module on that device."""
    return copy.deepcopy(module).to("meta")

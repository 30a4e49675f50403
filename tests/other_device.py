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
        waits: how many operations needed a value on the processor. On a GPU they wait for all that is queued. Numbers
            that are brought to the processor are zeros.

    Arguments:
        answer: to every question for a value, default True, which ends a search.
    """

    def __init__(self, answer=True):
        super().__init__()
        self.answer = answer
        self.waits = 0

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
        if name == "_to_copy" and tensors[0].is_meta and (kwargs or {}).get("device") == torch.device("cpu"):
            self.waits += 1
            return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        if any(t.is_meta for t in tensors):
            indexes = name.startswith("index") and name.split("_")[-1] in ("index", "put", "")
            if indexes:
                args = (args[0], [self._index(index) for index in args[1]], *args[2:])
                tensors = [t for t in tree_leaves((args[0], args[2:])) if isinstance(t, torch.Tensor)]
            strangers = [tuple(t.shape) for t in tensors if not t.is_meta and (t.dim() or indexes)]
            if strangers and name not in ("_to_copy", "copy_"):
                raise AssertionError(f"{name} mixes devices: {strangers} on the processor.")
            if name in ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal"):
                self.waits += 1
                return self.answer
        return function(*args, **(kwargs or {}))

    def _index(self, index):
        """An index that was sent there; a mask, which takes its count to the processor, takes all."""
        if index is None or index.dtype is not torch.bool:
            return index if index is None or index.is_meta else index.to("meta")
        self.waits += 1
        return torch.arange(len(index), device="meta")


def moved(module: nn.Module) -> nn.Module:
    """A copy of a module on that device."""
    return copy.deepcopy(module).to("meta")

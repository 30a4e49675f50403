"""State dicts as a checkpoint holds them: tensors with names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def tensors_of(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the entries of a state dict that are tensors."""
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def completed(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Any]:
    """Check the names and shapes of saved weights, and add the entries of the module's state that are not tensors."""
    own = module.state_dict()
    expected = tensors_of(own)
    if weights.keys() != expected.keys() or any(weights[name].shape != expected[name].shape for name in expected):
        raise ValueError("weights of another shape")
    return {**own, **weights}


def numbered(tensors: list[Tensor]) -> dict[str, Tensor]:
    """Name the tensors of a list by their places."""
    return {str(index): tensor for index, tensor in enumerate(tensors)}


def in_order(tensors: dict[str, Tensor], device: torch.device) -> list[Tensor]:
    """The list that `numbered` named, on a device."""
    return [tensors[key].to(device) for key in sorted(tensors, key=int)]


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of each parameter, named by its place and theirs."""
    return {
        f"{index}.{name}": moment
        for index, moments in optimizer.state_dict()["state"].items()
        for name, moment in moments.items()
    }


def load_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    """Give an optimizer the moments that `moments_of` named."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})

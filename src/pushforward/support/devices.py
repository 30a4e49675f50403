"""The devices that a flow can be asked to compute on."""

from __future__ import annotations

import torch

from pushforward.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """Return the device of a name: "cpu", "cuda", "mps", or "auto" (CUDA if there is one, else the CPU).

    Raises:
        InputError: the name is unknown or this machine has no such device.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name not in DEVICES:
        raise InputError(f"device must be one of {', '.join(DEVICES)}; it is {name!r}.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device='cuda' was asked for, but PyTorch finds no CUDA device here; use device='cpu'.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("device='mps' was asked for, but PyTorch finds no Apple GPU here; use device='cpu'.")
    return torch.device(name)


def usable_device(device: str | torch.device) -> torch.device:
    """Return a device that may also be one of several, such as "cuda:1" or a device of torch.

    Raises:
        InputError: there is no such device, or not on this machine.

    Example:
        >>> usable_device("cpu:0"), usable_device("auto") == choose_device("auto")
        (device(type='cpu', index=0), True)
    """
    if isinstance(device, str):
        kind, colon, number = device.partition(":")
        if not colon or not number.isdecimal():
            return choose_device(device)
        choose_device(kind)
    elif not isinstance(device, torch.device):
        return choose_device(device)
    elif device.type in DEVICES:
        choose_device(device.type)
    found = torch.device(device)
    if found.type == "cuda" and found.index is not None and found.index >= torch.cuda.device_count():
        raise InputError(
            f"device={str(found)!r} was asked for, but PyTorch finds no CUDA device of that number here (they count "
            f"from 0, and there are {torch.cuda.device_count()}); use another one."
        )
    return found

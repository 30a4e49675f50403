"""The model file: weights in one `.safetensors` file, everything else as JSON in its metadata.

Loading runs no code from the file: the config is JSON that names an architecture of this library and its options, the
weights are plain numbers.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from pushforward.errors import InputError
from pushforward.store.description import model_file, opened, read_metadata, shortened
from pushforward.store.formats import FORMAT
from pushforward.store.limits import AtMost
from pushforward.store.weights import check_weights, digest_of
from pushforward.support.arguments import path_of
from pushforward.support.atomic import atomic_path, check_writable
from pushforward.support.devices import usable_device
from pushforward.support.own_parts import own_parts
from pushforward.version import __version__
from pushforward.zoo.registry import build

# The numbers that building a flow may ask for, by the size of its file (weights have two to eight bytes), and at least.
NUMBERS_PER_BYTE, LEAST_NUMBERS = 2, 2**24


class Saveable(Protocol):
    """What can be written to a model file."""

    @property
    def config(self) -> dict[str, Any] | None:
        """How to build it again, {"architecture": name, option: value, ...}; None if there is no way."""
        ...

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision of the model, which may have no weights of its own."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The weights by name."""
        ...

    def parameters(self) -> Iterator[Tensor]:
        """Those of the weights that training changes."""
        ...


def save(flow: Saveable, path: str | os.PathLike[str], **notes: Any) -> None:
    """Write a flow to one file, atomically: the file is either complete or absent.

    Arguments:
        flow: what a named architecture made (`pushforward.maf`, `pushforward.wavenet` and the like,
            `pushforward.standardized`).
        path: ends in `.safetensors`.
        notes: what else to keep, anything that JSON can hold; `describe` gives it back.

    Raises:
        InputError: a flow without a config, another file ending, or a folder that cannot be written to.

    Example:
        >>> import pushforward as pf, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pf.save(pf.maf(features=2), f"{folder}/flow.safetensors")
        ...     pf.load(f"{folder}/flow.safetensors").features
        2
    """
    path = check_model_path(path)
    # A module of the user's own may have no config at all.
    if getattr(flow, "config", None) is None:
        raise InputError(
            f"This flow{own_parts(flow)} has no config to rebuild it from: only flows made by the named architectures "
            "can be saved (for others, save flow.state_dict() with torch)."
        )
    # Safetensors refuses tied weights and views: each tensor is copied.
    tensors = {key: value.detach().clone().contiguous().cpu() for key, value in flow.state_dict().items()}
    digest, parameters = digest_of(tensors, torch.uint8), sum(parameter.numel() for parameter in flow.parameters())
    about = {"format": FORMAT, "version": __version__, "digest": digest, "parameters": parameters}
    metadata = {
        "pushforward": json.dumps(about),
        "config": json.dumps(flow.config),
        "dtype": json.dumps(str(flow.reference.dtype).removeprefix("torch.")),
        "notes": json.dumps(notes),
    }
    with atomic_path(path) as temporary:
        # Not save_file, which sets other permissions.
        temporary.write_bytes(to_bytes(tensors, metadata))


def check_model_path(path: str | os.PathLike[str]) -> Path:
    """Check the path of a model file before the training, rather than after it."""
    path = path_of(path)
    if path.suffix != ".safetensors":
        raise InputError(f"A model file ends in .safetensors, {path} does not.")
    check_writable(path)
    return path


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Any:
    """Read a flow, or a model of sound, from its file, in evaluation mode.

    Arguments:
        path: a file written by `save`, or a folder written by `card`.
        device: of the flow, default "cpu"; "auto", "cuda" or "mps", or one of several, such as "cuda:1".

    Returns:
        The flow, built from the config in the file. The global random state is left as it was.

    Raises:
        InputError: no such file, a truncated, damaged or foreign file, a file of a newer version, a config and weights
            that do not fit each other, or no such device here.
    """
    path, device = model_file(path), usable_device(device)
    metadata = read_metadata(path)
    limit = NUMBERS_PER_BYTE * path.stat().st_size + LEAST_NUMBERS
    try:
        with torch.random.fork_rng(devices=[]), AtMost(limit):
            flow = build(metadata["config"])
        flow.to(getattr(torch, metadata["dtype"]))
    except (InputError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise InputError(f"{path} describes a flow that this version cannot build: {shortened(error)}.") from error
    with opened(path, framework="pt") as file:
        # Copies, which start at cache lines: products of unaligned memory are slower and round differently.
        found = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a dict)
    expected = flow.state_dict()
    for key in expected.keys() | found.keys():
        weight = f"{path} is damaged: its weight {shortened(key, 100)!r}"
        ours, theirs = (tuple(d[key].shape) if key in d else None for d in (expected, found))
        if ours != theirs:
            raise InputError(f"{weight} has shape {theirs or 'none'}, its config asks for {ours or 'none'}.")
        if not found[key].is_floating_point() and expected[key].is_floating_point():
            raise InputError(f"{weight} holds {found[key].dtype}, not real numbers.")
    check_weights(path, found, metadata["digest"], torch.uint8)
    # assign keeps the precision of each tensor in the file: standardization may be float64 around a float32 network.
    flow.load_state_dict(found, assign=True)
    return flow.to(device).eval()

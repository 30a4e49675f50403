"""Checkpoints: everything that a training run needs to continue after it was killed, as if nothing had happened."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Density
from pushforward.support.atomic import atomic_path
from pushforward.training.settings import Settings

# A killed run loses at most this, or twenty times the seconds that writing takes.
SECONDS_BETWEEN = 30.0
LARGEST_SHARE = 0.05
FORMAT = 1
# They do not change what is computed; whether the kind of device is the same is checked by itself.
SHOWN = ("progress", "log_path", "device", "checkpoint", "resume")
# Options from which the data, the flow and other options follow, and which follow from none of these.
FIRST = ("seed", "precision")
_asked: ContextVar[Mapping[str, Any] | None] = ContextVar("asked", default=None)


class Stateful(Protocol):
    """What can be saved: its state consists of tensors and plain JSON, and of dictionaries of these."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; any exception says that the state is not that of such a run."""


@dataclass(frozen=True)
class Checkpoint:
    """A file to which a run saves its state, and from which it may resume.

    One safetensors file, written atomically: weights, their average, the best and the last good ones, the optimizer's
    moments and the states of the random generators as tensors; counts, history and the place in the batches as JSON.
    Reading it runs no code from the file.

    Arguments:
        path: The file.
        origin: What the run is of, as plain JSON: its data, flow and options. Only a run of the same origin may resume.
        resume: Whether to resume from the file, if it exists.
        asked: The options that a user gave, from which the origin follows; they say why another origin differs.
    """

    path: Path
    origin: dict[str, Any]
    resume: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether there is a file to resume from, and it is wanted."""
        return self.resume and self.path.exists()

    def write(self, state: dict[str, Any]) -> None:
        """Save the state of a run between two steps.

        Raises:
            InputError: The file cannot be written; an older one is still whole.
        """
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"format": FORMAT, "origin": self.origin, "asked": dict(self.asked)}
        for part, value in state.items():
            if isinstance(value, Tensor):
                tensors[part] = value
            elif isinstance(value, dict):
                tensors |= {f"{part}.{name}": entry for name, entry in value.items() if isinstance(entry, Tensor)}
                facts[part] = {name: entry for name, entry in value.items() if not isinstance(entry, Tensor)}
            else:
                facts[part] = value
        # Tied weights and views would be refused: each tensor is written whole and by itself.
        tensors = {name: value.detach().clone().contiguous().cpu() for name, value in tensors.items()}
        with atomic_path(self.path) as temporary:
            _write(temporary, tensors, {"pushforward_checkpoint": json.dumps(facts)})

    def restore(self, run: Stateful, state: dict[str, Any]) -> None:
        """Give a run that has taken no step the state that was read.

        Raises:
            InputError: The state is not that of such a run.
        """
        try:
            run.load_state_dict(state)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError):
            raise self._damaged() from None

    def read_if_wanted(self) -> dict[str, Any] | None:
        """Read the state, if there is a file to resume from, and it is wanted; errors are those of `read`."""
        return self.read() if self.found else None

    def read(self) -> dict[str, Any]:
        """Read the state from the file.

        Raises:
            InputError: The file is not a whole checkpoint, or it is one of other data, another flow or other options.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                text = (file.metadata() or {}).get("pushforward_checkpoint")
                # Copies start at whole cache lines, as the tensors did before.
                tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{self.path} is not a checkpoint, or it is cut short ({str(error)[:200]}); delete it to start again."
            ) from None
        if text is None:
            raise InputError(
                f"{self.path} is another safetensors file, not a checkpoint of a fit; give another name, or delete it."
            )
        try:
            state = json.loads(text)
            file_format = int(state.pop("format"))
            origin = state.pop("origin")
            # A checkpoint of an earlier version has none.
            asked = dict(state.pop("asked", {}))
            if file_format == FORMAT and (what := _difference(dict(origin), self.origin, asked, self.asked)):
                raise InputError(
                    f"{self.path} is the checkpoint of a fit with {what}; resume it with the data and options that it "
                    "was started with, or delete it to start again."
                )
            if file_format == FORMAT:
                _insert(state, tensors)
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise self._damaged() from None
        if file_format != FORMAT:
            raise InputError(
                f"{self.path} is a checkpoint of format {file_format}, and this version reads format {FORMAT}; finish "
                "the fit with the version that started it, or delete the file to start again."
            )
        return state

    def _damaged(self) -> InputError:
        return InputError(f"{self.path} is a damaged checkpoint; delete it to start again.")


@contextmanager
def asked_with(options: Mapping[str, Any]) -> Iterator[None]:
    """Let the checkpoints of the block remember what a user asked for: it says why a fit cannot resume.

    Arguments:
        options: by their names, with their defaults; those that are not plain JSON, such as arrays, are left out.
    """
    plain = {}
    for name, value in options.items():
        try:
            plain[name] = json.loads(json.dumps(os.fspath(value) if isinstance(value, os.PathLike) else value))
        except (TypeError, ValueError):
            continue
    token = _asked.set({name: value for name, value in plain.items() if name not in SHOWN})
    try:
        yield
    finally:
        _asked.reset(token)


def _insert(state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put tensors into the parts of a state that their names start with."""
    for key, value in tensors.items():
        part, dot, name = key.partition(".")
        if dot:
            state.setdefault(part, {})[name] = value
        else:
            state[part] = value


def pause_after(seconds: float) -> float:
    """Return how many seconds to wait for the next checkpoint, given the seconds that writing the last one took.

    >>> pause_after(0.1), pause_after(3.0)
    (30.0, 60.0)
    """
    return max(SECONDS_BETWEEN, seconds / LARGEST_SHARE)


def checkpoint_for(
    flow: Density | nn.Module,
    data: Mapping[str, Tensor | str | None],
    settings: Settings,
    device: torch.device,
    **options: Any,
) -> Checkpoint | None:
    """Return the checkpoint of a run, whose origin is hashes of its data, the flow's config, shapes and options.

    Arguments:
        flow: The flow to be trained; the values of its weights do not count.
        data: Matrices, or hashes of them, by their names; None for those that are not given.
        settings: The choices of the run: the file, whether to resume, and those that change its course, which count.
        device: Where it runs; its kind counts.
        options: Further choices, plain JSON.

    Returns:
        The checkpoint, or None for a run without one.
    """
    if settings.checkpoint is None:
        return None
    weights = {name: value for name, value in flow.state_dict().items() if isinstance(value, Tensor)}
    shapes = {name: f"{value.dtype} {tuple(value.shape)}" for name, value in weights.items()}
    origin = {
        "data": {name: content(part) if isinstance(part, Tensor) else part for name, part in data.items()},
        # A student need not be a density.
        "flow": json.loads(json.dumps(getattr(flow, "config", None))),
        "weights": hashlib.sha256(json.dumps(shapes).encode()).hexdigest(),
        "device": device.type,
        **{name: value for name, value in asdict(settings).items() if name not in SHOWN},
        **options,
    }
    asked = _asked.get() or {name: getattr(settings, name) for name in FIRST}
    return Checkpoint(Path(settings.checkpoint), origin, settings.resume, asked)


def content(matrix: Tensor) -> str:
    """Return a hash of a matrix: of its numbers, dtype and shape."""
    digest = hashlib.sha256(f"{matrix.dtype} {tuple(matrix.shape)}".encode())
    for part in torch.atleast_1d(matrix).split(2**16):
        digest.update(part.contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def content_of_module(module: object) -> str | None:
    """Return a hash of the weights and buffers of a module; None for anything else."""
    if not isinstance(module, nn.Module):
        return None
    parts = {name: content(value) for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def line_of_checkpoint(options: Mapping[str, Any]) -> list[str]:
    """What becomes of the checkpoint of an unfinished fit, in a line for people; none where nothing does.

    Arguments:
        options: some `TrainingOptions`, of which checkpoint and resume count.

    Example:
        >>> line_of_checkpoint({"checkpoint": "nowhere.checkpoint", "resume": True})
        ['there is no nowhere.checkpoint to resume from: the fit starts from the beginning']
    """
    path, resume = options.get("checkpoint"), options.get("resume")
    if path is None or Path(path).exists() == bool(resume):
        return []
    if resume:
        return [f"there is no {path} to resume from: the fit starts from the beginning"]
    return [f"{path} of an unfinished fit will be overwritten; --resume would continue that fit"]


def data_of(path: Path) -> dict[str, Any]:
    """Hashes of the data of a run by their names, as its checkpoint has them; none of another file."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["pushforward_checkpoint"])
        return dict(facts["origin"]["data"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return {}


def _difference(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], asked: Mapping[str, Any], now: Mapping[str, Any]
) -> str | None:
    """What the origin of a fit differs in, the cause before what follows from it; None where it does not."""
    changed = [name for name, value in ours.items() if name not in theirs or theirs[name] != value]
    if not changed:
        return None
    first = {name: (asked[name], value) for name, value in now.items() if name in asked and asked[name] != value}
    first |= {name: (theirs.get(name), ours[name]) for name in FIRST if name in changed}
    options = [f"{name} {before!r}, and now it is {value!r}" for name, (before, value) in first.items()]
    # The other settings of a training change neither its data nor its flow.
    if set(first) - ({setting.name for setting in fields(Settings)} - set(FIRST)):
        return ", and ".join(options)
    parts = []
    if "data" in changed:
        before = dict(theirs.get("data") or {})
        names = [name for name in {**before, **ours["data"]} if before.get(name) != ours["data"].get(name)]
        parts.append(f"other data ({', '.join(names)} differ{'s' if len(names) == 1 else ''})")
    if "flow" in changed or "weights" in changed:
        parts.append("another flow")
    if parts or options:
        return ", and ".join([*([" and ".join(parts)] if parts else []), *options])
    name = changed[0]
    return f"{name} {theirs.get(name)!r}, and now it is {ours[name]!r}"


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file tensor by tensor: a copy of all of them as bytes takes longer than the file.

    `save_file` of safetensors writes to a temporary file with a name of its own, which nobody would sweep up after a
    process that was killed.
    """
    # In its order, larger numbers first, each tensor lies at a multiple of the size of its numbers.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        kind, shape = _dtype_name(tensors[name].dtype), list(tensors[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(tensors[name].flatten().view(torch.uint8).numpy().data)


@functools.cache
def _dtype_name(dtype: torch.dtype) -> str:
    """The name of a dtype in safetensors."""
    return str(json.loads(to_bytes({"x": torch.empty(0, dtype=dtype)})[8:])["x"]["dtype"])

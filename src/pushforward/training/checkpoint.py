"""Checkpoints: all that a training run needs to go on, after it was killed, as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.atomic import atomic_path
from pushforward.training.history import History
from pushforward.training.settings import Settings

if TYPE_CHECKING:
    from pushforward.training.loop import _Run

# A killed run loses no more than this, or than twenty times the seconds that writing takes.
SECONDS_BETWEEN = 30.0
LARGEST_SHARE = 0.05
FORMAT = 1
# What a run counts, by the names of its attributes.
COUNTS = (
    "step",
    "rate_scale",
    "failures",
    "best_value",
    "evaluations_since_best",
    "evaluated_step",
    "evaluated_at",
    "evaluation_seconds",
    "time_budget",
    "loss_sum",
    "norm_sum",
    "rows_seen",
    "steps_seen",
    "last_rate",
)
# They change what is shown, not what is computed.
SHOWN = ("progress", "log_path", "device", "checkpoint", "resume")

Saved = tuple[dict[str, Any], dict[str, Tensor]]


@dataclass(frozen=True)
class Checkpoint:
    """A file that a run writes its state to, and perhaps goes on from.

    One safetensors file, written atomically: weights, their average, the best and the last good ones, the optimiser's
    moments and the states of the random generators as tensors; counts, history and the place in the batches as JSON.
    Reading it runs no code from the file.

    Arguments:
        path: the file.
        origin: what the run is of, as plain JSON: its data, flow and options. Only a run of the same origin may go on.
        resume: whether to go on from the file, where it exists.
    """

    path: Path
    origin: dict[str, Any]
    resume: bool = False

    @property
    def found(self) -> bool:
        """Whether there is a file to go on from, and it is wanted."""
        return self.resume and self.path.exists()

    def write(self, run: _Run, finished: bool = False) -> None:
        """Write the state of a run between two steps.

        Raises:
            InputError: the file cannot be written; the older one, if there is one, is still whole.
        """
        tensors, facts = _state_of(run)
        about = {"format": FORMAT, "origin": self.origin, "finished": finished, **facts}
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(to_bytes(tensors, {"pushforward_checkpoint": json.dumps(about)}))

    def restore(self, run: _Run, saved: Saved) -> None:
        """Give a run that is prepared, but has taken no step, the state that was read.

        Raises:
            InputError: the state is not that of such a run.
        """
        try:
            _restore(run, saved[1], saved[0])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError):
            raise InputError(f"{self.path} is a damaged checkpoint; delete it to start anew.") from None

    def read(self) -> Saved:
        """Read the file.

        Returns:
            Its facts and its tensors.

        Raises:
            InputError: the file is no whole checkpoint, or one of other data, another flow or other options.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                text = (file.metadata() or {}).get("pushforward_checkpoint")
                # Copies, which start at whole cache lines, as they did before.
                tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{self.path} is no checkpoint, or it is cut short ({str(error)[:200]}); delete it to start anew."
            ) from None
        if text is None:
            raise InputError(
                f"{self.path} is no checkpoint of a fit but another safetensors file; give another name, or delete it."
            )
        try:
            about = json.loads(text)
            file_format = int(about["format"])
            whole = isinstance(about["origin"], dict)
        except (KeyError, TypeError, ValueError, RecursionError):
            whole, file_format = False, FORMAT
        if not whole:
            raise InputError(f"{self.path} is a damaged checkpoint; delete it to start anew.")
        if file_format != FORMAT:
            raise InputError(
                f"{self.path} is a checkpoint of format {file_format}, this version reads format {FORMAT}; finish the "
                "fit with the version that began it, or delete the file to start anew."
            )
        _check_origin(self.path, about["origin"], self.origin)
        return about, tensors


def pause_after(seconds: float) -> float:
    """How long to wait with the next checkpoint when the last one took so many seconds to write.

    >>> pause_after(0.1), pause_after(3.0)
    (30.0, 60.0)
    """
    return max(SECONDS_BETWEEN, seconds / LARGEST_SHARE)


def checkpoint_for(
    path: str | Path | None,
    resume: bool,
    flow: nn.Module,
    data: dict[str, Tensor | str | None],
    settings: Settings,
    device: torch.device,
    **options: Any,
) -> Checkpoint | None:
    """The checkpoint of a run: of hashes of its data, the flow's config, the shapes of its weights, and all options.

    Arguments:
        path: the file; None for a run without checkpoints.
        resume: whether to go on from it.
        flow: the flow to be trained; the values of its weights do not count.
        data: matrices, or hashes of them, by their names; None for those that are not given.
        settings: the choices of the run, of which only those that change its course count.
        device: where it runs, whose kind counts.
        options: further choices, plain JSON.

    Raises:
        InputError: `resume` without a path.
    """
    if path is None:
        if resume:
            raise InputError("resume=True needs the checkpoint to go on from: give its path as checkpoint=.")
        return None
    shapes = {name: f"{value.dtype} {tuple(value.shape)}" for name, value in _tensors(flow).items()}
    origin = {
        "data": {name: content(part) if isinstance(part, Tensor) else part for name, part in data.items()},
        "flow": json.loads(json.dumps(getattr(flow, "config", None))),
        "weights": hashlib.sha256(json.dumps(shapes).encode()).hexdigest(),
        "device": device.type,
        **{name: value for name, value in asdict(settings).items() if name not in SHOWN},
        **options,
    }
    return Checkpoint(Path(path), origin, resume)


def content(matrix: Tensor) -> str:
    """A hash of a matrix: its numbers, dtype and shape."""
    digest = hashlib.sha256(f"{matrix.dtype} {tuple(matrix.shape)}".encode())
    for part in matrix.split(2**16):
        digest.update(part.contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_origin(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    changed = next((name for name, value in ours.items() if name not in theirs or theirs[name] != value), None)
    if changed is None:
        return
    if changed in ("flow", "weights"):
        what = "another flow"
    elif changed == "data":
        before = dict(theirs.get("data") or {})
        names = [name for name in {**before, **ours["data"]} if before.get(name) != ours["data"].get(name)]
        what = f"other data ({', '.join(names)} differ{'s' if len(names) == 1 else ''})"
    else:
        what = f"{changed} {theirs.get(changed)!r}, and now it is {ours[changed]!r}"
    raise InputError(
        f"{path} is the checkpoint of a fit with {what}; go on with the data and the options it was begun with, or "
        "delete it to start anew."
    )


def _state_of(run: _Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that changes in the course of a run: tensors by name, and the rest as JSON."""
    good, good_average, good_step = run.good
    batches = run.batches.state_dict()  # type: ignore[attr-defined]
    tensors = {
        **_named("weights", _tensors(run.objective)),
        **_named("good", {name: value for name, value in good.items() if isinstance(value, Tensor)}),
        **_named("good_average", dict(enumerate(good_average))),
        **_named("average", dict(enumerate(run.average.snapshot() if run.average is not None else ()))),
        **_named("batches", {name: value for name, value in batches.items() if isinstance(value, Tensor)}),
        "random": torch.default_generator.get_state(),
    }
    if run.best_state is not None:
        tensors |= _named("best", {k: v for k, v in run.best_state.items() if isinstance(v, Tensor)})
    if run.fabric.device.type == "cuda":
        tensors["random_cuda"] = torch.cuda.get_rng_state(run.fabric.device)
    for index, moments in run.optimizer.optimizer.state_dict()["state"].items():
        tensors |= _named(f"optimizer.{index}", moments)
    facts = {
        "counts": {name: getattr(run, name) for name in COUNTS},
        "elapsed": run.elapsed(),
        "good_step": good_step,
        "has_best": run.best_state is not None,
        "average_updates": run.average.updates if run.average is not None else 0,
        "batches": {name: value for name, value in batches.items() if not isinstance(value, Tensor)},
        "history": asdict(run.history),
    }
    # Tied or viewed weights would be refused: each is written whole and by itself.
    return {name: value.detach().clone().contiguous().cpu() for name, value in tensors.items()}, facts


def _restore(run: _Run, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    device = run.fabric.device
    state, names = run.objective.state_dict(), _tensors(run.objective)
    for kind in ("weights", "good", "best") if facts["has_best"] else ("weights", "good"):
        kept = _part(tensors, kind)
        if kept.keys() != names.keys() or any(kept[name].shape != names[name].shape for name in names):
            raise ValueError(f"{kind} of another shape")
    run.objective.load_state_dict({**state, **_part(tensors, "weights")})
    good, best = ({**state, **_part(tensors, kind)} for kind in ("good", "best"))
    averages = [
        [value.to(device) for _, value in sorted(_part(tensors, name).items(), key=lambda entry: int(entry[0]))]
        for name in ("average", "good_average")
    ]
    run.good = (good, averages[1], facts["good_step"])
    run.best_state = best if facts["has_best"] else None
    if run.average is not None:
        run.average.restore(averages[0])
        run.average.updates = int(facts["average_updates"])

    optimizer: torch.optim.Optimizer = run.optimizer.optimizer
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer").items():
        index, moment = name.split(".")
        moments.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})

    for name in COUNTS:
        setattr(run, name, type(getattr(run, name))(facts["counts"][name]))
    history = {field.name: facts["history"][field.name] for field in fields(History)}
    run.history = History(**{**history, "rows": tuple(history["rows"])})
    run.batches.load_state_dict({**facts["batches"], **_part(tensors, "batches")})  # type: ignore[attr-defined]
    run.started -= float(facts["elapsed"])
    run.finished = bool(facts["finished"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random_cuda"], device)
    # Last: nothing from here to the next step draws.
    torch.default_generator.set_state(tensors["random"])


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}


def _named(prefix: str, tensors: dict[Any, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}

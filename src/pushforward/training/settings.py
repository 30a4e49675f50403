"""The choices of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from pushforward.errors import InputError
from pushforward.support.arguments import check_seed, is_number, is_whole
from pushforward.support.devices import choose_device
from pushforward.support.suggestions import nearest

PRECISIONS = ("32-true", "64-true", "bf16-mixed")
WHOLE = ("batch_size", "epochs", "max_steps", "warmup_steps", "patience", "evaluate_every", "seed")
REAL = ("max_time", "learning_rate", "weight_decay", "gradient_clip", "average_decay", "validation_fraction")


class TrainingOptions(TypedDict, total=False):
    """The options of a training run, as keyword arguments of `pushforward.fit`, `pushforward.fit_table` and others.

    The defaults are those of `pushforward.fit`; other functions say where theirs differ.

    Arguments:
        batch_size: Rows, or draws, in a training batch; default 512.
        epochs: Most passes over the training rows. Without `epochs`, `max_steps` and `max_time`: 100 passes, but at
            least 2000 steps.
        max_steps: Most steps.
        max_time: Most seconds from the first batch to the last evaluation; the learning rate reaches zero in time.
        learning_rate: Peak learning rate of AdamW; default 1e-3.
        weight_decay: Weight decay of matrices; default 1e-6. Vectors such as biases and log-scales never decay.
        warmup_steps: Steps of linear warm-up, at most a tenth of the run; default 100.
        gradient_clip: Largest norm of the gradient; default 5, math.inf for no clipping.
        average_decay: Decay of the weight average; default 0.999, None to evaluate and keep the weights themselves.
        patience: Evaluations in a row without a new best before the run stops early; default 20, None for never.
        evaluate_every: Steps between evaluations. By default about once a pass, but every 20 to 1000 steps, at least
            ten times a run, and less often if evaluation would take more than about a tenth of the time. With
            `max_time` evaluations also come at least twenty times a run, within the same bound.
        seed: Seed of the split, the batches, and any noise in the flow; default 0.
        device: "auto" (default; CUDA if there is one, else the CPU), "cpu", "cuda" or "mps".
        precision: "32-true" (default; the flow's own dtype), "64-true" (makes the flow float64) or "bf16-mixed"
            (autocast of the flow's operations; data, weights and held-out values are not rounded).
        progress: Whether to show a progress bar on standard error; None (default) shows one in a terminal after two
            seconds.
        log_path: CSV file (overwritten) with a line per evaluation: step, epoch, seconds, train_nats, held_out_nats,
            learning_rate and gradient_norm; values that vary from step to step are means since the line before.
        checkpoint: File to which the state of the run is written, atomically, about every 30 seconds and at the end; an
            older one is overwritten. If it cannot be written, a RuntimeWarning says so and the run continues.
        resume: Whether to resume from `checkpoint` if that file exists; default False. On the CPU the run ends with
            exactly the weights that it would have had without the interruption; seconds spent before it count toward
            `max_time`. A finished run returns its result at once.
    """

    batch_size: int
    epochs: int | None
    max_steps: int | None
    max_time: float | None
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    gradient_clip: float
    average_decay: float | None
    patience: int | None
    evaluate_every: int | None
    seed: int
    device: str
    precision: str
    progress: bool | None
    log_path: str | Path | None
    checkpoint: str | Path | None
    resume: bool


@dataclass(frozen=True)
class Settings:
    """The choices of a training run: `TrainingOptions`, complete and checked.

    `max_steps`, `epochs` and `max_time` are limits; the first one reached ends the run, and at least one is needed.
    `evaluate_every` is in steps.

    Raises:
        InputError: A value is out of its range, or this machine has no such device.
    """

    evaluate_every: int
    batch_size: int = 512
    epochs: int | None = None
    max_steps: int | None = None
    max_time: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    warmup_steps: int = 100
    gradient_clip: float = 5.0
    average_decay: float | None = 0.999
    patience: int | None = 20
    seed: int = 0
    device: str = "auto"
    precision: str = "32-true"
    progress: bool | None = None
    log_path: str | Path | None = None
    checkpoint: str | Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        check_types(vars(self))
        _require("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        _require("evaluate_every", self.evaluate_every, self.evaluate_every >= 1, "at least 1 step")
        _require("epochs", self.epochs, self.epochs is None or self.epochs >= 1, "at least 1")
        _require("max_steps", self.max_steps, self.max_steps is None or self.max_steps >= 1, "at least 1")
        _require("max_time", self.max_time, self.max_time is None or self.max_time > 0, "more than 0 seconds")
        _require("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "more than 0 and finite")
        _require("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more and finite")
        _require("warmup_steps", self.warmup_steps, self.warmup_steps >= 0, "0 or more")
        _require("gradient_clip", self.gradient_clip, self.gradient_clip > 0, "more than 0 (math.inf switches it off)")
        decay = self.average_decay
        _require("average_decay", decay, decay is None or 0 <= decay < 1, "from 0 to below 1, or None")
        check_seed(self.seed)
        _require("patience", self.patience, self.patience is None or self.patience >= 1, "at least 1, or None")
        _require("precision", self.precision, self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        if self.epochs is None and self.max_steps is None and self.max_time is None:
            raise InputError("A training run needs a limit: give epochs, max_steps or max_time.")
        if self.resume and self.checkpoint is None:
            raise InputError("resume=True needs the checkpoint to resume from: give its path as checkpoint=.")
        choose_device(self.device)


def check_types(options: Mapping[str, Any]) -> None:
    """Refuse options of a training run that are no numbers, or no whole ones where these are needed.

    Raises:
        InputError: such an option, which is named.

    >>> check_types({"epochs": 1.5})
    Traceback (most recent call last):
    pushforward.errors.InputError: epochs must be a whole number; it is 1.5.
    """
    for name, value in options.items():
        if value is not None:
            _require(name, value, name not in WHOLE or is_whole(value), "a whole number")
            _require(name, value, name not in REAL or is_number(value), "a number")


def settings_from(options: Mapping[str, Any], **defaults: Any) -> Settings:
    """Complete the options of a training run.

    Arguments:
        options: Some `TrainingOptions`.
        defaults: Values of the options that are not given, where they differ from those of `Settings`.

    Returns:
        All of them, checked.

    Raises:
        InputError: An option is unknown (the message suggests the nearest one) or out of its range.

    >>> settings_from({"max_steps": 10}, evaluate_every=100).max_steps
    10
    >>> settings_from({"maximum_steps": 10}, evaluate_every=100)
    Traceback (most recent call last):
    pushforward.errors.InputError: A training run has no option maximum_steps; did you mean "max_steps"? ...
    """
    known = list(TrainingOptions.__annotations__)
    for name in options:
        if name not in known:
            raise InputError(f"A training run has no option {name}; {nearest(name, known, most=len(known))}")
    return Settings(**{**defaults, **options})


def settings_for_draws(
    function: str, options: Mapping[str, Any], steps: int, refused: Sequence[str] = ("epochs",)
) -> Settings:
    """Complete the options of a run that trains on its own draws.

    Arguments:
        function: The name of the function that was called, for messages.
        options: Some `TrainingOptions`.
        steps: Most steps if there is no other limit.
        refused: The options that the function does not take.

    >>> settings_for_draws("distill", {"epochs": 3}, steps=5000)
    Traceback (most recent call last):
    pushforward.errors.InputError: distill does not take the option epochs.
    """
    refuse(function, options, refused)
    limited = options.get("max_steps") is not None or options.get("max_time") is not None
    defaults = {"evaluate_every": 100, "weight_decay": 0.0, "patience": None}
    return settings_from(options if limited else {**options, "max_steps": steps}, **defaults)


def refuse(function: str, options: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise an InputError if one of the options of a run is given that the function does not take."""
    for name in names:
        if options.get(name):
            raise InputError(f"{function} does not take the option {name}.")


def _require(name: str, value: object, holds: bool, range_in_words: str) -> None:
    if not holds:
        raise InputError(f"{name} must be {range_in_words}; it is {value!r}.")

"""What a fit does when it is told nothing: architecture, size and training, from the table and the time allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.flow import Flow
from pushforward.zoo import build, gaussianized

# Chosen on the validation rows of six tables (5 to 63 columns, 16,000 to 1.7 million rows): see benchmarks/notes.md.
WIDTH, WIDE = 128, 256
ROWS_FOR_WIDE, SECONDS_FOR_WIDE = 200_000, 300
BATCH_ROWS = 512
LEARNING_RATE = 5e-3
# Passes without a time limit, and the steps that they must come to.
PASSES = 60
FEWEST_STEPS, MOST_STEPS = 3_000, 40_000


@dataclass(frozen=True)
class Recipe:
    """A choice of flow and training.

    Attributes:
        flow: the flow's config, all but its numbers of features and context features.
        training: options of `pushforward.fit`.
        reasons: lines for people: what was chosen, and why.
    """

    flow: dict[str, Any]
    training: dict[str, Any]
    reasons: tuple[str, ...]

    def make(self, x: Tensor, context: Tensor | None = None, seed: int = 0) -> Flow:
        """The flow with fresh weights behind splines that make each column of its training rows nearly normal.

        Arguments:
            x: (N, D) training rows; float64 keeps the data side in float64.
            context: (N, C) or None.
            seed: of the weights; the global random state is left as it was.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            sizes = {"features": x.shape[1], "context": 0 if context is None else context.shape[1]}
            inner = build({**self.flow, **sizes})
        return gaussianized(inner, x, context)


def choose_recipe(rows: int, features: int, context: int = 0, max_time: float | None = None) -> Recipe:
    """Choose a flow and its training for a table.

    Arguments:
        rows: rows to train on.
        features: columns to model.
        context: columns to condition on, default 0.
        max_time: seconds of training allowed; None for as long as the held-out rows gain.

    Returns:
        The choice and its reasons.

    Example:
        >>> recipe = choose_recipe(rows=80_000, features=7, max_time=60)
        >>> recipe.flow["architecture"], recipe.training["batch_size"]
        ('nsf', 512)
        >>> recipe.reasons[0]
        'chosen: nsf, 5 autoregressive layers of 8-bin splines, ...'
    """
    width = _width(rows, max_time)
    layers, bins = 5, 8
    flow = {"architecture": "nsf", "layers": layers, "hidden": [width, width], "bins": bins}
    training: dict[str, Any] = {"batch_size": min(BATCH_ROWS, max(32, rows // 8)), "learning_rate": LEARNING_RATE}
    if max_time is None:
        training["max_steps"] = _steps(rows, training["batch_size"])
        limit = f"at most {training['max_steps']} steps, fewer when held-out rows stop gaining"
    else:
        limit = f"{max_time:g} seconds"
    given = f" given {context}" if context else ""
    return Recipe(
        flow,
        training,
        (
            f"chosen: nsf, {layers} autoregressive layers of {bins}-bin splines, networks of 2 x {width} units, for "
            f"{rows} rows of {features} columns{given}: {_why_width(rows, width)}",
            f"chosen: AdamW at {LEARNING_RATE:g} on batches of {training['batch_size']}, averaged weights, {limit}",
        ),
    )


def _width(rows: int, max_time: float | None) -> int:
    return WIDE if rows >= ROWS_FOR_WIDE and (max_time is None or max_time >= SECONDS_FOR_WIDE) else WIDTH


def _why_width(rows: int, width: int) -> str:
    if width == WIDE:
        return "there are rows and time for wide networks"
    if rows >= ROWS_FOR_WIDE:
        return "wider networks would take longer than that to pay"
    return "narrower networks gain less at any number of rows, early stopping keeps this one from memorising"


def _steps(rows: int, batch: int) -> int:
    return min(max(PASSES * rows // batch, FEWEST_STEPS), MOST_STEPS)

"""A stacked density: flows, each with other rows held out, and simple ones, weighted by rows they have not seen."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.flow import Flow
from pushforward.support.wording import counted, percent
from pushforward.training import History
from pushforward.training.folds import FoldedRows
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.mixture_weights import mixed, mixture_weights
from pushforward.zoo.simple_densities import Features, SimpleDensity, simple_densities

# Every row is held out of one of so many flows; of more rows one flow is as good in less time.
FOLDS, MOST_ROWS = 5, 2_000
# What simple densities take on one thread, about, by the number of rows.
SECONDS, SECONDS_OF_ROW = 1.5, 0.003
# Parts of less weight are left out.
LEAST_WEIGHT = 0.01


@dataclass(frozen=True, eq=False)
class Stack:
    """A stacked density.

    Attributes:
        flow: the mixture.
        history: of the training of its flows together.
        rows: (m,) the places of the rows that were held out of some flow.
        log_prob: (m,) of these, under the parts that did not see them, with weights that they had no say in.
        weights: {what a part is: its weight}.
    """

    flow: FlowMixture
    history: History
    rows: Tensor
    log_prob: np.ndarray
    weights: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class StackedRows:
    """The rows that a stacked density is fitted to.

    Attributes:
        points: (n, D) float64, on the line.
        features: what is known of these.
        folded: the rows, and which of them stand together.
        log_prob: of rows at some places, (m,), under the density that a flow of points stands for.
    """

    points: Tensor
    features: Features
    folded: FoldedRows
    log_prob: Callable[[Flow, Tensor], np.ndarray]


def stacks(options: Mapping[str, Any], rows: int) -> bool:
    """Whether so many rows are stacked, where nobody named an architecture and no option describes one training."""
    return rows <= MOST_ROWS and not any(options.get(name) is not None for name in ("max_steps", "epochs"))


def seconds_of_flow(max_time: float | None, rows: int) -> float | None:
    """The time of one of the flows: what simple densities are expected to leave, and at least half of all.

    It depends on no clock: a fit that resumes has the same.

    Example:
        >>> seconds_of_flow(60, 1_000), seconds_of_flow(4, 1_000)
        (11.1, 0.4)
    """
    if max_time is None:
        return None
    return (max_time - min(SECONDS + SECONDS_OF_ROW * rows, max_time / 2)) / FOLDS


def checkpoints(path: str | Path) -> list[Path]:
    """The files to which the flows of an interrupted fit return; the first one is that which was asked for.

    Example:
        >>> [path.name for path in checkpoints("stars.checkpoint")][:2]
        ['stars.checkpoint', 'stars.2.checkpoint']
    """
    path = Path(path)
    return [path, *(path.with_suffix(f".{number}{path.suffix}") for number in range(2, FOLDS + 1))]


def stack(
    rows: StackedRows,
    folds: Sequence[tuple[Tensor, Tensor]],
    train: Callable[[int, tuple[Tensor, Tensor]], tuple[Flow, History]],
    architecture: str,
    seed: int,
) -> Stack:
    """Fit the parts, and weigh them by rows that they have not seen.

    Arguments:
        rows: all of them.
        folds: training and held-out rows of each flow.
        train: a flow, of its number and its fold.
        architecture: of the flows, for people.
        seed: of the simple densities.

    Source: Smyth and Wolpert 1999, doi:10.1023/A:1007511322260.
    """
    start = time.monotonic()
    # A row far from all others, perhaps a mistake, would give simple densities their scale: it is left to the flows.
    near = torch.from_numpy(rows.folded.held_out_once(folds))
    together = None if rows.folded.together is None else rows.folded.together[near.numpy()]
    simple = simple_densities(rows.points[near], rows.features, together, seed)
    values = [_out_of_fold(one, rows, [(some[near[some]], held_out) for some, held_out in folds]) for one in simple]
    found: list[tuple[Flow, History]] = []
    for number, fold in enumerate(folds):
        before = time.monotonic()
        found.append(train(number, fold))
        # A run that resumes knows more of its seconds than the clock.
        start += min(found[-1][1].total_seconds, time.monotonic() - before)
        # What is there is used: flows of fewer folds, and the rows that these have held out.
        if found[-1][1].stopped == "interrupted":
            break
    flows = [flow.eval() for flow, _ in found]
    used = folds[: len(flows)]
    of_flows = [rows.log_prob(flow, held_out) for flow, (_, held_out) in zip(flows, used, strict=True)]
    lengths = [len(held_out) for _, held_out in used]
    whole = [np.concatenate(of_flows), *(np.concatenate(value[: len(flows)]) for value in values)]
    each = np.nan_to_num(np.stack(whole), nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
    names = [f"{counted(len(flows), architecture + ' flow')}", *(one.name for one in simple)]
    kept = np.flatnonzero(_weights(each) >= LEAST_WEIGHT)
    weights = _weights(each[kept])
    log_prob = _without_own_say(each[kept], np.repeat(np.arange(len(used)), lengths))
    parts: list[tuple[float, Flow]] = []
    for place, weight in zip(kept.tolist(), weights.tolist(), strict=True):
        if place == 0:
            parts += [(weight / len(flows), flow) for flow in flows]
        else:
            parts.append((weight, simple[place - 1].fit(rows.points[near]).eval()))
    said = {names[place]: float(weight) for place, weight in zip(kept, weights, strict=True)}
    history = _together([history for _, history in found], time.monotonic() - start)
    history.best_held_out = float(log_prob.mean())
    history.rows = (len(rows.points), len(log_prob))
    alone = dict(zip(names, each.mean(1), strict=True))
    history.events += lines_of(said, alone, history.best_held_out)
    mixture = FlowMixture([flow for _, flow in parts], [weight for weight, _ in parts]).eval()
    return Stack(mixture, history, torch.cat([held_out for _, held_out in used]), log_prob, said)


def lines_of(weights: Mapping[str, float], alone: Mapping[str, float], together: float) -> list[str]:
    """What was stacked, and what each part is worth.

    Example:
        >>> lines_of({"nsf": 0.75, "kernels": 0.25}, {"nsf": -1.0, "kernels": -1.5}, -0.9)
        ['stacked: 75% nsf (-1.000 nats per held-out row), 25% kernels (-1.500); together -0.900']
    """
    parts = [f"{percent(weight)} {name} ({alone[name]:.3f}" for name, weight in weights.items()]
    parts = [f"{parts[0]} nats per held-out row)", *(f"{part})" for part in parts[1:])]
    return [f"stacked: {', '.join(parts)}; together {together:.3f}"]


def _out_of_fold(one: SimpleDensity, rows: StackedRows, folds: Sequence[tuple[Tensor, Tensor]]) -> list[np.ndarray]:
    """log p of the held-out rows of each fold, -inf where the density cannot be fitted to the others."""
    found = []
    for training, held_out in folds:
        try:
            found.append(rows.log_prob(one.fit(rows.points[training]).eval(), held_out))
        except (ValueError, torch.linalg.LinAlgError):
            found.append(np.full(len(held_out), -np.inf))
    return found


def _weights(log_prob: np.ndarray) -> np.ndarray:
    """With one more row for all parts together: no part that is of use is given up, and useless ones weigh nothing."""
    return mixture_weights(log_prob, 1 / len(log_prob))


def _without_own_say(each: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """log p of rows, (m,), of (K, m) under the parts, with the weights that the rows of other folds give."""
    found = np.empty(each.shape[1])
    for number in np.unique(fold):
        own = fold == number
        found[own] = mixed(each[:, own], _weights(each[:, own if own.all() else ~own]))
    return found


def _together(histories: Sequence[History], seconds: float) -> History:
    """The history of the first flow, with the steps, the seconds and the events of all, and the seconds of the rest."""
    endings = [one.stopped for one in histories]
    stopped = next((ending for ending in ("interrupted", "time") if ending in endings), endings[0])
    return dataclasses.replace(
        histories[0],
        steps=sum(one.steps for one in histories),
        epochs=sum(one.epochs for one in histories),
        total_seconds=seconds + sum(one.total_seconds for one in histories),
        stopped=stopped,
        processor_share=min(one.processor_share for one in histories),
        events=[event for one in histories for event in one.events],
    )

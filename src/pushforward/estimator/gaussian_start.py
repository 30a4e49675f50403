"""A Gaussian takes the place of an estimator's flow if it is better on the held-out rows."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.one_fit import Rows
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.training import History, evaluate
from pushforward.zoo.gaussian import best_gaussian


def keep_gaussian(flow: Flow, kinds: ColumnKinds, history: History, rows: Rows, split: tuple[Tensor, Tensor]) -> Flow:
    """The flow, or a Gaussian of the points of the training rows if its held-out value is higher; the history says so.

    Arguments:
        flow: trained.
        kinds: of the columns, with the same maps before the flow and before the Gaussian.
        history: of the training; its held-out value becomes that of the Gaussian.
        rows: of the fit.
        split: the training rows and the held-out ones.
    """
    device = device_of(flow)
    flow = flow.cpu()
    gaussian, best, name = gaussian_of_split(flow, kinds, rows, split)
    # In training fewer points of the noise are averaged over than in scores.
    reached = held_out_value(flow, kinds, rows, split) if kinds.maps.noisy else history.best_held_out
    if gaussian is not None and best > reached:
        line = f"{name} has {best:.3f} nats per held-out row, more than the flow: it takes its place"
        history.events.append(line)
        history.best_held_out, flow = best, gaussian.eval()
    return flow.to(device)


def gaussian_of_split(
    flow: Flow, kinds: ColumnKinds, rows: Rows, split: tuple[Tensor, Tensor]
) -> tuple[Flow | None, float, str]:
    """The better of two Gaussians of the training rows, its held-out value, and its name; None where there is none."""
    return best_gaussian(
        flow,
        *rows.at(split[0]),
        lambda some: held_out_value(some, kinds, rows, split),
        bounded=kinds.bounded,
        normal=kinds.maps.normal,
        flags=rows.flags,
        trends=kinds.maps.linear,
        predictions=rows.predictions,
    )


def held_out_value(flow: Flow, kinds: ColumnKinds, rows: Rows, split: tuple[Tensor, Tensor]) -> float:
    """The nats per held-out row, -inf where some have no density."""
    log_prob = held_out_log_prob(flow, kinds, rows, split)
    _, _, weights = rows.at(split[1])
    return float(np.average(log_prob, weights=weights)) if np.isfinite(log_prob).all() else -math.inf


def held_out_log_prob(flow: Flow, kinds: ColumnKinds, rows: Rows, split: tuple[Tensor, Tensor]) -> np.ndarray:
    """log p of the held-out rows, (m,)."""
    _, context, _ = rows.at(split[1])
    found: np.ndarray = evaluate(kinds.density(flow), torch.from_numpy(rows.codes)[split[1]], context).double().numpy()
    return found

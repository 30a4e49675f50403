"""A Gaussian takes the place of an estimator's flow if it is better on the held-out rows."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.kinds import ColumnKinds
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.training import History, evaluate
from pushforward.zoo.gaussian import best_gaussian


def keep_gaussian(
    flow: Flow,
    kinds: ColumnKinds,
    history: History,
    codes: np.ndarray,
    points: Tensor,
    given: np.ndarray | None,
    split: tuple[Tensor, Tensor],
    weights: Tensor | None,
) -> Flow:
    """The flow, or a Gaussian of the points of the training rows if its held-out value is higher; the history says so.

    Arguments:
        flow: trained.
        kinds: of the columns, with the same maps before the flow and before the Gaussian.
        history: of the training; its held-out value becomes that of the Gaussian.
        codes: (n, D) of all rows.
        points: (n, D) on the line, of the codes.
        given: (n, C) or None.
        split: the training rows and the held-out ones.
        weights: (n,) or None.
    """
    training, held_out = split
    rows, context = torch.from_numpy(codes), None if given is None else torch.from_numpy(given)
    of_held_out = None if weights is None else weights[held_out].numpy()

    def value(some: Flow) -> float:
        known = None if context is None else context[held_out]
        log_prob = evaluate(kinds.density(some), rows[held_out], known).double().numpy()
        return float(np.average(log_prob, weights=of_held_out)) if np.isfinite(log_prob).all() else -math.inf

    device = device_of(flow)
    flow = flow.cpu()
    gaussian, best, name = best_gaussian(
        flow,
        points[training],
        None if context is None else context[training],
        None if weights is None else weights[training],
        value,
        bounded=kinds.bounded,
    )
    # In training fewer points of the noise are averaged over than in scores.
    reached = value(flow) if kinds.maps.noisy else history.best_held_out
    if gaussian is not None and best > reached:
        line = f"{name} has {best:.3f} nats per held-out row, more than the flow: it takes its place"
        history.events.append(line)
        history.best_held_out, flow = best, gaussian.eval()
    return flow.to(device)

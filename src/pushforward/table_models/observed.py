"""Codes of columns as an arbitrary conditional flow takes them: scores, their intervals, and inputs of a network."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.maps.base import LOG_SHORTEST

# Scores beyond this are moved to it; float64 has no probabilities left there.
FURTHEST_SCORE = 40.0


class Observed(NamedTuple):
    """Rows of codes, all (n, D) but the inputs.

    Attributes:
        low: scores of values with a density, or the lower ends of the intervals of those with a probability.
        high: the same scores, or the upper ends.
        log_term: log |∂ score / ∂ code| of values with a density, minus the log of its length for a cell, else 0.
        mass: whether a value has a probability.
        inputs: what the network is shown, (n, D + Σ widths), scores first.
        present: whether there is a value.
    """

    low: Tensor
    high: Tensor
    log_term: Tensor
    mass: Tensor
    inputs: Tensor
    present: Tensor


def observe(codes: Tensor, columns: Columns, kinds: Sequence[Column], flow: ArbitraryConditionalFlow) -> Observed:
    """Turn codes into scores and inputs of a network.

    Arguments:
        codes: (n, D), NaN where a value is missing.
        columns: the maps of the columns.
        kinds: the columns.
        flow: has the scores of the numbers of the maps, and of angles in radians.
    """
    present = ~codes.isnan()
    low, high, log_term = columns.intervals(codes.double())
    mass, length = high > low, high - low
    knots = flow.marginal.x_knots
    middle = knots[:, knots.shape[1] // 2].double()
    # A network is shown where angles lie themselves: it need not learn where a sector ends.
    scores, points = [], []
    slope = torch.zeros_like(low)
    for end in (low, high):
        # Missing and infinite ends are computed with a number that surely has a score.
        inside = torch.where(present & end.isfinite(), end, middle)
        score, slope = flow.scores(inside)
        scores.append(torch.where(end.isinf(), end, score))
        points.append(torch.where(flow.circular, inside, scores[-1]))
    # Of a step too short for the difference of two scores the probability is its length times the density in it.
    short = mass & (length.log() + slope < LOG_SHORTEST)
    log_term = log_term + torch.where(short, length.log(), 0.0)
    mass = mass & ~short
    scores[1] = torch.where(short, scores[0], scores[1])
    log_term = torch.where(present, torch.where(mass, log_term, log_term + slope), 0.0)
    inputs = _inputs(codes, points[0], points[1], kinds)
    return Observed(scores[0], scores[1], log_term, mass & present, inputs, present)


def y_of(score: Tensor, column: int, flow: ArbitraryConditionalFlow) -> Tensor:
    """Return y of scores of one column, (n,), float64, among numbers of no meaning for the others, (n, D)."""
    scores = torch.zeros(len(score), flow.features, dtype=torch.float64)
    scores[:, column] = score
    return flow.of_scores(scores)


def _inputs(codes: Tensor, low: Tensor, high: Tensor, kinds: Sequence[Column]) -> Tensor:
    """The scores, and what each kind shows beside them."""
    # The middle of an interval in probability, which is finite for an open end too.
    middle = torch.special.ndtri(0.5 * (torch.special.ndtr(low) + torch.special.ndtr(high)))
    middle = torch.where(high > low, middle, low).clamp(-FURTHEST_SCORE, FURTHEST_SCORE)
    parts = list(middle.unbind(1))
    for column, kind in enumerate(kinds):
        if kind.circular:
            parts[column] = torch.zeros_like(parts[column])
        parts += kind.network_inputs(codes[:, column], low[:, column], high[:, column]).unbind(1)
    return torch.stack(parts, 1)

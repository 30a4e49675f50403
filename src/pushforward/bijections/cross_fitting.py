"""Where a straight line says more of new rows than a spline through the quantiles of those that are known."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.marginal import MarginalSpline
from pushforward.support.far_ends import far_ends, most_times_of

# Each part of the rows is judged by what the others say; of more rows than this some are enough.
PARTS, MOST_ROWS = 5, 10_000
# Nats of one feature that do not matter: splines of features that follow each other bend alike, which helps a flow.
LEAST_LOSS = 0.01


@torch.no_grad()
def straight_features(
    x: Tensor,
    knots: int,
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    normal: Sequence[int] = (),
    weights: Tensor | None = None,
) -> list[int]:
    """Return the features whose splines predict rows no better than a normal distribution does, beyond doubt.

    The rows are divided into five parts. The density of each feature in a part, of a normal number behind the spline
    through the quantiles of the other parts, is compared with that of their mean and deviation. A feature is returned
    unless the mean of log p over all parts is higher by the standard error of the difference, less a hundredth of a
    nat: of few rows a spline must show what it is worth, of many it may cost a little. Rows far from all others (see
    `far_ends`), which would decide a mean by themselves, have no part in it, nor in the mean and deviation.

    Arguments:
        x: (N, D), NaN where a value is missing.
        knots: K, as `MarginalSpline.from_data` takes it, and so are the other arguments.
        low: (D,) lower bounds.
        high: (D,) upper bounds.
        normal: features that have no spline.
        weights: (N,) positive weights of the rows.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x = -torch.rand(2000, 1, generator=generator, dtype=torch.float64).log()
        >>> straight_features(x[:100], 8), straight_features(torch.special.ndtri(x.neg().exp())[:100], 8)
        ([], [0])
    """
    places = [feature for feature in range(x.shape[1]) if feature not in normal]
    if len(x) > MOST_ROWS:
        some = torch.arange(MOST_ROWS) * len(x) // MOST_ROWS
        x, weights = x[some], None if weights is None else weights[some]
    missing = x.isnan()
    complete = [place for place in places if not missing[:, place].any()]
    # Columns with gaps have rows of their own.
    groups = [complete, *([place] for place in places if place not in complete)]
    found = []
    for group in filter(None, groups):
        rows = ~missing[:, group[0]]
        share = None if weights is None else weights[rows]
        bounds = [None if ends is None else [ends[place] for place in group] for ends in (low, high)]
        found += [group[place] for place in _worse(x[rows][:, group].double(), knots, bounds, share)]
    return sorted(found)


def _worse(x: Tensor, knots: int, bounds: list[list[float] | None], weights: Tensor | None) -> list[int]:
    """The places of the features, (N, D) without gaps, of which the line says more than the spline."""
    part = torch.arange(len(x)) % PARTS
    gain = torch.zeros_like(x)
    varies = torch.ones(x.shape[1], dtype=torch.bool)
    for number in range(PARTS):
        others = x[part != number]
        varies &= (others != others[:1]).any(0) if len(others) > 1 else False
    kept = varies.nonzero()[:, 0].tolist()
    if not kept:
        return []
    low, high = (None if ends is None else [ends[place] for place in kept] for ends in bounds)
    for number in range(PARTS):
        here, others = part == number, part != number
        share = None if weights is None else weights[others]
        spline, line = (
            MarginalSpline.from_data(x[others][:, kept], knots, low=low, high=high, weights=share, straight=straight)
            for straight in ((), range(len(kept)))
        )
        asked = x[here][:, kept]
        gain[here.nonzero(), torch.tensor(kept)] = _log_prob(spline, asked) - _log_prob(line, asked)
    share = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.double()
    share = share[:, None] * torch.stack([~_far_rows(column) for column in x.t()], 1)
    share = share / share.sum(0)
    mean = (share * gain).sum(0)
    error = (share * (gain - mean)).square().sum(0).sqrt()
    return (mean < error - LEAST_LOSS).nonzero()[:, 0].tolist()


def _far_rows(column: Tensor) -> Tensor:
    """Which rows are far from all others, (N,)."""
    values = column.unique()
    lowest, highest = far_ends(values.cpu().numpy(), most_times_of(len(column)))
    return (column < values[lowest]) | (column > values[len(values) - 1 - highest])


def _log_prob(spline: MarginalSpline, x: Tensor) -> Tensor:
    """log p of each number, (N, D)."""
    z, log_slope = spline.each_inverse(x)
    return log_slope - 0.5 * z.square() - 0.5 * math.log(2 * math.pi)

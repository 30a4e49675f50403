"""Which columns make a row an outlier: how surprising each value is, given all other values of its row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Quantiles of the draws at which a column is first evaluated, and distances beyond them in widths of the draws: if the
# other values of a row are extreme, an extreme value may be the expected one.
QUANTILES, BEYOND = 63, (64.0, 16.0, 4.0, 1.0)
# Rounds of adding points where the density is; each halves the intervals around its highest point.
ROUNDS, MORE = 16, 8
# Up to so many rounds if an interval may hold this share of the whole, and the density falls there by so many nats: as
# near a bound where it has no limit.
MOST_ROUNDS, NOTABLE_MASS, STEEPEST = 64, 0.05, 3.0
INTERVAL = (0.05, 0.95)
# So many pairs of a row and a column are worked on together.
PAIRS = 64


@dataclass(frozen=True, eq=False)
class Surprise:
    """How surprising each value of some rows is, given all other values of its row.

    Attributes:
        nats: (n, D), -log p(x[d] | all other columns).
        expected: (n, D), its mean over that same density: the conditional entropy.
        low: (n, D), the 5 % quantile of that density.
        high: (n, D), the 95 % quantile.
    """

    nats: Tensor
    expected: Tensor
    low: Tensor
    high: Tensor

    @property
    def excess(self) -> Tensor:
        """(n, D), nats above the expected: no unit of a column changes it."""
        return self.nats - self.expected

    @property
    def share(self) -> Tensor:
        """(n, D), each column's part of the sum of all positive excesses; zeros if none is positive."""
        positive = self.excess.clamp_min(0)
        return positive / positive.sum(1, keepdim=True).clamp_min(torch.finfo(positive.dtype).tiny)


def conditional_surprise(
    log_prob: Callable[[Tensor], Tensor],
    x: Tensor,
    draws: Tensor,
    levels: Sequence[Tensor | None] | None = None,
    report: Callable[[float], None] = lambda part: None,
) -> Surprise:
    """Compare each value of a row with the density of its column given all other values of the row.

    p(x[d] | others) = p(x) / ∫ p(x with t for x[d]) dt, by quadrature along each column: at quantiles of the draws, and
    at further points where most of the density lies, between which its logarithm is a straight line. Only values of
    the density are needed, so it works for every flow. Of two columns that contradict each other both are surprising;
    of columns that are extreme together, as each of them suggests, neither is.

    Arguments:
        log_prob: log p of rows, (m,) of (m, D), each D values of one row of x or other values in their place; rows come
            in blocks of all rows of x in turn.
        x: (n, D), float64.
        draws: (m, n, D) or (m, 1, D), draws from p, which give the columns' scales.
        levels: for each column all values that it can take, ascending, where the integral is a sum over them; None for
            a continuous one. Default: all are continuous.
        report: is told the share that is done, from 0 to 1.

    Returns:
        The surprise of each value, float64; 0 where it is NaN, which log_prob must accept.

    Cost: 200 evaluations of log_prob for each row and continuous column, more where the density has cliffs, and one for
        each level of the others.

    Example:
        >>> normal = torch.distributions.Normal(0.0, torch.tensor([1.0, 10.0], dtype=torch.float64))
        >>> x = torch.tensor([[3.0, 20.0]], dtype=torch.float64)
        >>> found = conditional_surprise(lambda rows: normal.log_prob(rows).sum(1), x, normal.sample((1000, 1)))
        >>> found.excess.round(decimals=1), found.share.round(decimals=1)
        (tensor([[4.0000, 1.5000]], dtype=torch.float64), tensor([[0.7000, 0.3000]], dtype=torch.float64))
    """
    own = log_prob(x).double()
    parts = torch.zeros(4, *x.shape, dtype=own.dtype)
    discrete = [column for column in range(x.shape[1]) if levels is not None and levels[column] is not None]
    continuous = [column for column in range(x.shape[1]) if column not in discrete]
    size = max(1, PAIRS // max(1, len(x)))
    groups = [continuous[start : start + size] for start in range(0, len(continuous), size)]
    done = 0
    for columns in [*([column] for column in discrete), *groups]:
        values = None if levels is None else levels[columns[0]]
        found = (
            _of_continuous(log_prob, x, own, draws, columns)
            if values is None
            else [part[:, None] for part in _of_discrete(log_prob, x, own, values, columns[0])]
        )
        parts[:, :, columns] = torch.where(x[:, columns].isnan(), 0.0, torch.stack(list(found)).to(own.dtype))
        done += len(columns)
        report(done / x.shape[1])
    return Surprise(*parts)


def _heights(log_prob: Callable[[Tensor], Tensor], x: Tensor, columns: Tensor, points: Tensor) -> Tensor:
    """log p of rows with other values, (n, P), each row in one column, (n,); where it has none, -inf."""
    rows = x.repeat(points.shape[1], 1, 1)
    rows[:, torch.arange(len(x)), columns] = points.t()
    values = log_prob(rows.reshape(-1, x.shape[1])).double().reshape(points.shape[1], -1).t()
    return values.nan_to_num(nan=-math.inf, neginf=-math.inf)


def _of_discrete(
    log_prob: Callable[[Tensor], Tensor], x: Tensor, own: Tensor, values: Tensor, column: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The surprise, the expected one and the interval of a discrete column, (n,) each."""
    heights = _heights(log_prob, x, torch.full((len(x),), column), values.to(x.dtype).expand(len(x), -1))
    total = heights.logsumexp(1)
    shares = (heights - total[:, None]).exp()
    below = shares.cumsum(1)
    low, high = (values.to(x.dtype)[(below < level).sum(1).clamp(max=len(values) - 1)] for level in INTERVAL)
    return total - own, torch.special.entr(shares).sum(1), low, high


def _of_continuous(
    log_prob: Callable[[Tensor], Tensor], x: Tensor, own: Tensor, draws: Tensor, columns: Sequence[int]
) -> list[Tensor]:
    """The surprise, the expected one and the ends of the interval of continuous columns, (n, C) each."""
    # Pairs of a column and a row, the rows in turn: a few points of each pair are evaluated together.
    count, rows = len(columns), len(x)
    quantiles = torch.quantile(
        draws[..., columns].to(x.dtype), torch.linspace(0, 1, QUANTILES, dtype=x.dtype), dim=0
    ).permute(2, 1, 0)
    quantiles = quantiles.expand(count, rows, -1).reshape(count * rows, -1)
    of_pairs = torch.tensor(columns).repeat_interleave(rows)
    found = _of_pairs(log_prob, x.repeat(count, 1), own.repeat(count), quantiles, of_pairs)
    return [part.reshape(count, rows).t() for part in found]


def _of_pairs(
    log_prob: Callable[[Tensor], Tensor], x: Tensor, own: Tensor, quantiles: Tensor, columns: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same of a row and one of its columns each, (n,), with quantiles, (n, Q), of its draws."""

    def at(points: Tensor) -> Tensor:
        return _heights(log_prob, x, columns, points)

    points, heights = resolved(at, x.gather(1, columns[:, None])[:, 0], quantiles)
    masses = log_masses(points, heights)
    total = masses.logsumexp(1)
    shares = (masses - total[:, None]).exp()
    ends = heights - total[:, None]
    weights = ends.exp()
    inner = torch.where(weights > 0, weights * ends, 0.0)
    mean_log = (inner[:, 1:] + inner[:, :-1]) / (weights[:, 1:] + weights[:, :-1]).clamp_min(torch.finfo(x.dtype).tiny)
    below = torch.nn.functional.pad(shares.cumsum(1), (1, 0))
    low, high = (_quantile(points, below, level) for level in INTERVAL)
    return total - own, -(shares * mean_log).sum(1), low, high


def resolved(
    at: Callable[[Tensor], Tensor], own: Tensor, quantiles: Tensor, rounds: int = ROUNDS, most: int = MOST_ROUNDS
) -> tuple[Tensor, Tensor]:
    """Points at which a density of one column is known well enough: between them its logarithm is a straight line.

    Arguments:
        at: log p of each row with each of some values in the column, (n, P) of (n, P).
        own: (n,) the rows' values, which are among the points.
        quantiles: (n, Q) or (1, Q), ascending, of draws, where the search begins.
        rounds: of adding eight points where the density is.
        most: rounds where the density has cliffs.

    Returns:
        The points, (n, P), ascending, and log p there.
    """
    beyond = (quantiles[:, -1:] - quantiles[:, :1]) * torch.tensor(BEYOND, dtype=own.dtype)
    first = torch.cat([quantiles[:, :1] - beyond, quantiles, quantiles[:, -1:] + beyond], 1).expand(len(own), -1)
    points = torch.cat([first, own[:, None]], 1).sort(1).values
    heights = at(points)
    no_row = torch.zeros(len(own), 1, dtype=torch.bool)
    for number in range(most):
        # The most that an interval can hold if the density is highest at one of its ends.
        masses = points.diff(dim=1).log() + torch.maximum(heights[:, 1:], heights[:, :-1])
        done = ~_unresolved(masses, points, heights).any(1, keepdim=True) if number >= rounds else no_row
        if done.all():
            break
        left = masses.topk(MORE, 1).indices
        # A row is not changed by others: where nothing is left to do, points are repeated.
        right = torch.where(done, left, left + 1)
        between = (points.gather(1, left) + points.gather(1, right)) / 2
        points, heights = torch.cat([points, between], 1), torch.cat([heights, at(between)], 1)
        order = points.argsort(1)
        points, heights = points.gather(1, order), heights.gather(1, order)
    return points, heights


def _unresolved(most: Tensor, points: Tensor, heights: Tensor) -> Tensor:
    """Intervals, (n, P - 1), that may hold much, and in which the density falls so far that a line says little."""
    total = log_masses(points, heights).logsumexp(1, keepdim=True)
    level = heights[:, 1:] == heights[:, :-1]
    return (most > total + math.log(NOTABLE_MASS)) & (heights.diff(dim=1).abs() > STEEPEST) & ~level


def log_masses(points: Tensor, heights: Tensor) -> Tensor:
    """log ∫ exp(height) between neighboring points, (n, P - 1), where height is a straight line between them."""
    higher, lower = torch.maximum(heights[:, 1:], heights[:, :-1]), torch.minimum(heights[:, 1:], heights[:, :-1])
    fall = torch.where(higher == lower, 0.0, higher - lower)
    # (1 - exp(-fall)) / fall, which is 1 - fall / 2 for small ones.
    factor = torch.where(fall < 1e-4, -fall / 2, (-torch.expm1(-fall)).log() - fall.clamp_min(1e-4).log())
    masses = points.diff(dim=1).log() + higher + factor
    return masses.nan_to_num(nan=-math.inf, neginf=-math.inf)


def _quantile(points: Tensor, below: Tensor, level: float) -> Tensor:
    """Where the distribution function reaches a level, (n,), in a straight line between points."""
    right = torch.searchsorted(below, torch.full_like(below[:, :1], level)).clamp(1, points.shape[1] - 1)
    left = right - 1
    low, high = below.gather(1, left), below.gather(1, right)
    part = (level - low) / (high - low).clamp_min(torch.finfo(points.dtype).tiny)
    return torch.lerp(points.gather(1, left), points.gather(1, right), part.clamp(0, 1))[:, 0]

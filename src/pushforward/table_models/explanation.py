"""The oddest rows of a table, and the columns that make them odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import log_prob_of_rows
from pushforward.table_models.surprise import conditional_surprise

# Draws that give the scales of the columns.
DRAWS = 1000
# A smaller share, or an excess of fewer nats, is not mentioned.
SMALLEST_SHARE, SMALLEST_EXCESS = 0.1, 1.0
BATCH_ROWS = 4096


class OddestRows:
    """The rows of a stream with the lowest log-density.

    Arguments:
        count: how many.

    Attributes:
        numbers: (count,) the rows' numbers, the oddest first.
        matrix: (count, columns) the rows' codes.
        log_prob: (count,) their log-densities in nats, ascending.

    Example:
        >>> oddest = OddestRows(2)
        >>> for first_row, log_prob in ((1, [-1.0, -5.0]), (3, [-9.0, 0.0])):
        ...     oddest.add(first_row, np.zeros((2, 1)), np.array(log_prob))
        >>> oddest.numbers, oddest.log_prob
        (array([3, 2]), array([-9., -5.]))
    """

    def __init__(self, count: int):
        self.count = count
        self.numbers = np.zeros(0, dtype=int)
        self.log_prob = np.zeros(0)
        self.matrix = np.zeros((0, 0))

    def add(self, first_row: int, matrix: np.ndarray, log_prob: np.ndarray) -> None:
        """Add rows of the stream.

        Arguments:
            first_row: the number of the first of them.
            matrix: (n, columns) their codes.
            log_prob: (n,) their log-densities.
        """
        lowest = np.argsort(log_prob, kind="stable")[: self.count]
        matrix, both = matrix[lowest], np.concatenate([self.log_prob, log_prob[lowest]])
        kept = np.argsort(both, kind="stable")[: self.count]
        self.matrix = np.concatenate([self.matrix, matrix] if len(self.matrix) else [matrix])[kept]
        self.numbers = np.concatenate([self.numbers, first_row + lowest])[kept]
        self.log_prob = both[kept]


@dataclass(frozen=True)
class OddColumn:
    """A column of an odd row.

    Attributes:
        column: its name.
        share: its part of the row's surprise, from 0 to 1; the shares of all columns sum to 1, or all are 0.
        excess: how much more surprising the value is than expected, in nats.
        value: the row's value as the table has it; None where it is missing.
        low: the 5 % quantile of the column given the row's other values.
        high: the 95 % quantile.
    """

    column: str
    share: float
    excess: float
    value: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class OddRow:
    """A row of low density.

    Attributes:
        row: its number.
        log_prob: in nats.
        p_value: None for a model without calibration.
        columns: the columns, the largest share first.
    """

    row: int
    log_prob: float
    p_value: float | None
    columns: tuple[OddColumn, ...]

    def __str__(self) -> str:
        """One line for people: the columns with a share of at least a tenth and an excess of at least a nat."""
        named = [
            f"{one.column} {one.share:.0%} ({_shown(one.value)}; {_shown(one.low)} to {_shown(one.high)})"
            for one in self.columns
            if one.share >= SMALLEST_SHARE and one.excess >= SMALLEST_EXCESS
        ]
        p_value = "" if self.p_value is None else f", p-value {self.p_value:.2g}"
        what = ", ".join(named) or "no column stands out, given the others"
        return f"row {self.row}: log_prob {self.log_prob:.3f}{p_value}: {what}"


def explain(model: TableModel, oddest: OddestRows, report: Callable[[float], None] = lambda part: None) -> list[OddRow]:
    """Find the columns that make rows odd: how much more surprising each value is, given the others, than expected.

    excess[d] = -log p(x[d] | other columns, given) - its mean over p(x[d] | other columns, given)

    Categories and whole numbers with few values have probabilities instead of densities. Angles and columns with atoms
    are only conditioned on, like the given columns; `explainable` returns the others.

    A column's share is its part of the sum of all positive excesses. The draws that give the columns' scales are the
    same at every call, and leave the global random state as it was.

    Arguments:
        model: the density.
        oddest: the rows.
        report: called with the share that is done, from 0 to 1.

    Returns:
        The rows, the oddest first.

    Cost: 200 evaluations of log_prob for each row and column.

    Source: the attribution is that of `pushforward.table_models.surprise.conditional_surprise`.

    Example:
        >>> import pushforward as pf
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> model = pf.fit_table(rows, flow="nice", max_steps=50).model
        >>> oddest, odd = OddestRows(1), np.array([[0.0, 0.0], [0.0, 9.0]])
        >>> oddest.add(1, odd, model.log_prob(odd))
        >>> row = explain(model, oddest)[0]
        >>> row.row, row.columns[0].column
        (2, '1')
    """
    names = explainable(model)
    places = [model.names.index(name) for name in names]
    whole = torch.from_numpy(oddest.matrix)
    if not names or not len(whole):
        return []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        given = oddest.matrix[:, len(model.columns) : len(model.columns) + len(model.given)]
        # Given columns: so many draws for each row.
        drawn = model.draw(given=np.tile(given, (DRAWS, 1))) if model.given else model.draw(DRAWS)
    draws = torch.from_numpy(drawn).reshape(DRAWS, -1, len(model.columns))[..., places]

    def log_prob(rows: Tensor) -> Tensor:
        # Blocks of all rows in turn, as conditional_surprise gives them.
        full = whole.repeat(len(rows) // len(whole), 1)
        full[:, places] = rows
        values = torch.cat([log_prob_of_rows(model.density, model.roles, part) for part in full.split(BATCH_ROWS)])
        # The maps of columns continue beyond the columns' support.
        return torch.where(((rows < ends[0]) | (rows > ends[1])).any(1), -torch.inf, values)

    x = whole[:, places]
    kinds = [model.schema[name] for name in names]
    ends = torch.tensor([kind.support for kind in kinds], dtype=torch.float64).t()
    levels = [None if (codes := kind.all_codes()) is None else torch.from_numpy(codes) for kind in kinds]
    surprise = conditional_surprise(log_prob, x, draws, levels, report)
    own, low, high = (
        model.decode(part.numpy(), columns=names).to_pydict() for part in (x, surprise.low, surprise.high)
    )
    p_values = None if model.calibration is None else model.calibration.p_values(oddest.log_prob)
    rows = []
    for index, number in enumerate(oddest.numbers.tolist()):
        columns = [
            OddColumn(
                name,
                *(float(part[index, column]) for part in (surprise.share, surprise.excess)),
                *(_plain(part[name][index]) for part in (own, low, high)),
            )
            for column, name in enumerate(names)
        ]
        columns.sort(key=lambda one: (one.share, one.excess), reverse=True)
        p_value = None if p_values is None else float(p_values[index])
        rows.append(OddRow(number, float(oddest.log_prob[index]), p_value, tuple(columns)))
    return rows


def explainable(model: TableModel) -> list[str]:
    """Return the modeled columns that vary and are neither angles nor columns with atoms."""
    kinds = model.schema
    return [name for name in model.columns if kinds[name].explainable]


def _plain(value: Any) -> Any:
    """What JSON can hold: dates and times as ISO text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

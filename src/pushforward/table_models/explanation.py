"""The oddest rows of a table, and the columns that make them odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.evaluation.surprise import conditional_surprise
from pushforward.table_models.model import TableModel

# Draws that tell the scales of the columns.
DRAWS = 1000
# A smaller share, or an excess of fewer nats, is not worth a word.
SMALLEST_SHARE, SMALLEST_EXCESS = 0.1, 1.0
BATCH_ROWS = 4096


class OddestRows:
    """The rows of lowest log-density of a stream.

    Arguments:
        count: how many.

    Attributes:
        numbers: (count,) the rows' numbers, from the oddest on.
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
        """Look at some more rows, the first of which has this number."""
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
        share: its part of the row's surprise, from 0 to 1; those of all columns make 1, or all are 0.
        excess: how much more surprising the value is than one expects of the column, in nats.
        value: of the row, in the column's own terms; None where it is missing.
        low: below it lie 5 % of the values that the column takes with the row's other values.
        high: above it lie 5 %.
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
        columns: the columns by their shares, the largest first.
    """

    row: int
    log_prob: float
    p_value: float | None
    columns: tuple[OddColumn, ...]

    def __str__(self) -> str:
        """One line for people: the columns with a share of a tenth or more, if they exceed by a nat or more."""
        named = [
            f"{one.column} {one.share:.0%} ({_shown(one.value)}; {_shown(one.low)} to {_shown(one.high)})"
            for one in self.columns
            if one.share >= SMALLEST_SHARE and one.excess >= SMALLEST_EXCESS
        ]
        p_value = "" if self.p_value is None else f", p-value {self.p_value:.2g}"
        what = ", ".join(named) or "no column stands out, given the others"
        return f"row {self.row}: log_prob {self.log_prob:.3f}{p_value}: {what}"


def explain(model: TableModel, oddest: OddestRows, report: Callable[[float], None] = lambda part: None) -> list[OddRow]:
    """Say which columns make rows odd: how much more surprising each value is, given the others, than expected.

    excess[d] = -log p(x[d] | other columns, given) - its mean over p(x[d] | other columns, given)

    A category or a whole number of few values has probabilities in place of densities. Angles and columns with atoms
    are taken as they are, like the given columns: `explainable` has the others.

    A column's share is its part of the sum of all positive excesses. Draws that tell the columns' scales are the same
    at every call, and leave the random state as it was.

    Arguments:
        model: the density.
        oddest: the rows.
        report: is told the share that is done, from 0 to 1.

    Returns:
        The rows, from the oddest on.

    Cost: 200 evaluations of log_prob for each row and column.

    Source: the attribution is `pushforward.evaluation.surprise.conditional_surprise`.

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
        values = torch.cat([model.log_prob_anywhere(part) for part in full.split(BATCH_ROWS)])
        # The maps of columns go on beyond what the columns can be.
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
    """The modelled columns that vary and that surprise can be found of: all but angles and those with atoms."""
    kinds = model.schema
    return [name for name in model.columns if kinds[name].explainable]


def _plain(value: Any) -> Any:
    """What JSON can hold: dates and times as ISO text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

"""The oddest rows of a table, and the columns that make them odd."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.support.seeding import seeded
from pushforward.support.suggestions import quoted
from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import log_prob_of_rows
from pushforward.table_models.surprise import conditional_surprise
from pushforward.tables.columns.values import UNSEEN

# Draws that give the scales of the columns.
DRAWS = 1000
# A smaller share, or an excess of fewer nats, is not mentioned.
SMALLEST_SHARE, SMALLEST_EXCESS = 0.1, 1.0
BATCH_ROWS = 4096


class OddestRows:
    """The rows of a stream with the lowest log-density.

    Arguments:
        count: how many.
        names: of the columns of their codes, with which values are kept that the model has never seen.

    Attributes:
        numbers: (count,) the rows' numbers, the oddest first.
        matrix: (count, columns) the rows' codes.
        log_prob: (count,) their log-densities in nats, ascending.
        unseen: by the number of a row, the values in it that the model has never seen, by their columns.

    Example:
        >>> oddest = OddestRows(2)
        >>> for first_row, log_prob in ((1, [-1.0, -5.0]), (3, [-9.0, 0.0])):
        ...     oddest.add(first_row, np.zeros((2, 1)), np.array(log_prob))
        >>> oddest.numbers, oddest.log_prob
        (array([3, 2]), array([-9., -5.]))
    """

    def __init__(self, count: int, names: Sequence[str] = ()):
        self.count = count
        self.names = list(names)
        self.unseen: dict[int, dict[str, Any]] = {}
        self.numbers = np.zeros(0, dtype=int)
        self.log_prob = np.zeros(0)
        self.matrix = np.zeros((0, 0))

    def add(self, first_row: int, matrix: np.ndarray, log_prob: np.ndarray, rows: Any = None) -> None:
        """Add rows of the stream.

        Arguments:
            first_row: the number of the first of them.
            matrix: (n, columns) their codes.
            log_prob: (n,) their log-densities.
            rows: the same as a batch of pyarrow, from which values are taken that have no code; default not known.
        """
        lowest = np.argsort(log_prob, kind="stable")[: self.count]
        for place in lowest.tolist():
            strange = np.flatnonzero(matrix[place] == UNSEEN).tolist()
            if strange and rows is not None:
                values = {self.names[at]: rows.column(self.names[at])[place].as_py() for at in strange}
                self.unseen[first_row + place] = values
        matrix, both = matrix[lowest], np.concatenate([self.log_prob, log_prob[lowest]])
        kept = np.argsort(both, kind="stable")[: self.count]
        self.matrix = np.concatenate([self.matrix, matrix] if len(self.matrix) else [matrix])[kept]
        self.numbers = np.concatenate([self.numbers, first_row + lowest])[kept]
        self.log_prob = both[kept]
        numbers = set(self.numbers.tolist())
        self.unseen = {number: values for number, values in self.unseen.items() if number in numbers}


@dataclass(frozen=True)
class OddColumn:
    """A column of an odd row.

    Attributes:
        column: its name.
        share: its part of the row's surprise, from 0 to 1; the shares of all columns sum to 1, or all are 0.
        excess: how much more surprising the value is than expected, in nats.
        value: the row's value as the table has it; None where it is missing.
        low: the 5% quantile of the column given the row's other values; None for levels, which have no order.
        high: the 95% quantile, likewise.
    """

    column: str
    share: float
    excess: float
    value: Any
    low: Any
    high: Any

    @property
    def range(self) -> str:
        """The interval for people, after a semicolon; nothing for levels."""
        return "" if self.low is None or self.high is None else f"; {_shown(self.low)} to {_shown(self.high)}"


@dataclass(frozen=True)
class OddRow:
    """A row of low density.

    Attributes:
        row: its number.
        log_prob: in nats.
        p_value: None for a model without calibration.
        columns: the columns, the largest share first; none for a row of log-density -inf.
        unseen: {column: value} of what the model has never seen in the row.
    """

    row: int
    log_prob: float
    p_value: float | None
    columns: tuple[OddColumn, ...]
    unseen: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for people: the columns with a share of at least a tenth and an excess of at least a nat."""
        named = [
            f"{quoted(one.column)} {one.share:.0%} ({_shown(one.value)}{one.range})"
            for one in self.columns
            if one.share >= SMALLEST_SHARE and one.excess >= SMALLEST_EXCESS
        ]
        p_value = "" if self.p_value is None else f", p-value {self.p_value:.2g}"
        what = ", ".join(named) or "no column stands out, given the others"
        if self.log_prob == -math.inf:
            never = ", ".join(f"{quoted(name)} ({_shown(value)})" for name, value in self.unseen.items())
            what = f"never seen: {never}" if never else "too far from the data to have a density"
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

    Cost: 200 evaluations of log_prob for each row and column, and more where the density has cliffs.

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
    seen = np.isfinite(oddest.log_prob)
    whole = torch.from_numpy(oddest.matrix[seen])
    strange = _never_seen(model, oddest)
    if not names or not len(whole):
        return strange
    with seeded(0):
        given = oddest.matrix[seen][:, len(model.columns) : len(model.columns) + len(model.given)]
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
    p_values = None if model.calibration is None else model.p_values(oddest.matrix[seen], oddest.log_prob[seen])
    rows = []
    for index, number in enumerate(oddest.numbers[seen].tolist()):
        columns = []
        for column, name in enumerate(names):
            share, excess = (float(part[index, column]) for part in (surprise.share, surprise.excess))
            ordered = model.schema[name].measured
            between = [_plain(part[name][index]) if ordered else None for part in (low, high)]
            columns.append(OddColumn(name, share, excess, _plain(own[name][index]), between[0], between[1]))
        columns.sort(key=lambda one: (one.share, one.excess), reverse=True)
        p_value = None if p_values is None else float(p_values[index])
        rows.append(OddRow(number, float(oddest.log_prob[seen][index]), p_value, tuple(columns)))
    return [*strange, *rows]


def _never_seen(model: TableModel, oddest: OddestRows) -> list[OddRow]:
    """The rows of log-density -inf, which have no density to explain."""
    places = np.flatnonzero(np.isneginf(oddest.log_prob))
    p_values = None
    if model.calibration is not None and len(places):
        p_values = model.p_values(oddest.matrix[places], oddest.log_prob[places])
    found = []
    for index, number in enumerate(oddest.numbers[places].tolist()):
        values = {name: _plain(value) for name, value in oddest.unseen.get(number, {}).items()}
        p_value = None if p_values is None else float(p_values[index])
        found.append(OddRow(number, -math.inf, p_value, (), values))
    return found


def explainable(model: TableModel) -> list[str]:
    """Return the modeled columns that vary and are neither angles nor columns with atoms."""
    kinds = model.schema
    return [name for name in model.columns if kinds[name].explainable]


def _plain(value: Any) -> Any:
    """What JSON can hold: dates and times as ISO text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else quoted(str(value))

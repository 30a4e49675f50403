"""The oddest rows of a table, and the columns that explain them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from pushforward.evaluation.report.contents import OddColumnOfRow, OddRow, TrainedOn
from pushforward.evaluation.report.marginals import text_of
from pushforward.support.wording import counted, with_minus
from pushforward.table_models import explanation
from pushforward.table_models.model import TableModel

# Rows without a density, which say little beyond their value, do not displace all others.
COUNT, MOST_WITHOUT_DENSITY = 10, 3


class OddestOfTable:
    """The rows of the lowest log-density of a whole table, at most three of them without a density, which come first.

    Arguments:
        model: of the rows.
    """

    def __init__(self, model: TableModel) -> None:
        self.model, self.rows, self.without_density = model, 0, 0
        self._oddest = explanation.OddestRows(COUNT, model.names)
        self._values: dict[int, dict[str, Any]] = {}

    def add(self, first: int, batch: pa.RecordBatch, codes: np.ndarray) -> None:
        """Let rows pass: the number of the first, a batch of them, and their codes, (n, names)."""
        self.rows += len(codes)
        log_prob = self.model.log_prob(codes)
        without = np.flatnonzero(np.isneginf(log_prob))
        log_prob[without[max(0, MOST_WITHOUT_DENSITY - self.without_density) :]] = np.inf
        self.without_density += len(without)
        self._oddest.add(first, codes, log_prob, batch)
        kept = self._oddest.numbers.tolist()
        self._values = {
            number: self._values[number] if number < first else batch.slice(number - first, 1).to_pylist()[0]
            for number in kept
        }

    def note(self, known: TrainedOn) -> str:
        """Which rows these are, in words, where it is known whether some were trained on."""
        trained = known.left_out or (known.known and known.share > 0)
        kind = " Rows that were trained on are among them, and look less odd than new ones." if trained else ""
        more = self.without_density - MOST_WITHOUT_DENSITY
        left = (
            f" {counted(more, 'more row')} without a density {'is' if more == 1 else 'are'} left out."
            if more > 0
            else ""
        )
        return f"Of all {counted(self.rows, 'row')} of the table.{left}{kind}"

    def explained(self, report: Callable[[float], None] = lambda part: None) -> list[OddRow]:
        """The rows, the oddest first, with the columns that explain them; `report` is told the share that is done."""
        found = []
        for row in explanation.explain(self.model, self._oddest, report):
            columns = [
                OddColumnOfRow(
                    one.column, one.share, one.excess, text_of(one.value), text_of(one.low), text_of(one.high)
                )
                for one in row.columns
            ]
            values = {name: text_of(value) for name, value in self._values[row.row].items()}
            p_value = math.nan if row.p_value is None else row.p_value
            start = f"row {row.row}: log_prob -", f"row {row.row:,}: log_prob {with_minus('-')}"
            sentence = str(row).replace(*start, 1).replace(f"row {row.row}:", f"row {row.row:,}:", 1)
            found.append(OddRow(row.row, row.log_prob, p_value, columns, values, sentence))
        return found

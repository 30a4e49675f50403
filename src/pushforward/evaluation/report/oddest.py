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

COUNT = 10


class OddestOfTable:
    """The rows of the lowest log-density of a whole table, those with values that the model has never seen first.

    Arguments:
        model: of the rows.
    """

    def __init__(self, model: TableModel) -> None:
        self.model, self.rows = model, 0
        self._oddest = explanation.OddestRows(COUNT, model.names)
        self._values: dict[int, dict[str, Any]] = {}

    def add(self, first: int, batch: pa.RecordBatch, codes: np.ndarray) -> None:
        """Let rows pass: the number of the first, a batch of them, and their codes, (n, names)."""
        self.rows += len(codes)
        self._oddest.add(first, codes, self.model.log_prob(codes), batch)
        kept = self._oddest.numbers.tolist()
        self._values = {
            number: self._values[number] if number < first else batch.slice(number - first, 1).to_pylist()[0]
            for number in kept
        }

    def note(self, known: TrainedOn) -> str:
        """Which rows these are, in words, where it is known whether some were trained on."""
        trained = known.left_out or (known.known and known.share > 0)
        kind = " Rows that were trained on are among them, and look less odd than new ones." if trained else ""
        return f"Of all {counted(self.rows, 'row')} of the table.{kind}"

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

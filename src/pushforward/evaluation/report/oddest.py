"""The oddest rows of a report, and the columns that explain them."""

from __future__ import annotations

import math
from collections.abc import Callable

from pushforward.evaluation.report.contents import OddColumnOfRow, OddRow
from pushforward.evaluation.report.evidence import log_prob_in_parts
from pushforward.evaluation.report.marginals import text_of
from pushforward.evaluation.report.sampled_rows import SampledRows
from pushforward.table_models import explanation
from pushforward.table_models.model import TableModel

COUNT = 10


def oddest_rows(
    model: TableModel, rows: SampledRows, report: Callable[[float], None] = lambda part: None
) -> list[OddRow]:
    """The rows of the lowest log-density, those with values that the model has never seen first.

    Arguments:
        model: of the rows.
        rows: of a table.
        report: is told the share that is done, from 0 to 1.
    """
    oddest = explanation.OddestRows(COUNT, model.names)
    log_prob = log_prob_in_parts(model, rows.codes)
    # By place in the sample, from 1.
    oddest.add(1, rows.codes, log_prob, rows.table)
    found = []
    for row in explanation.explain(model, oddest, report):
        values = {name: text_of(value) for name, value in rows.table.slice(row.row - 1, 1).to_pylist()[0].items()}
        number = int(rows.numbers[row.row - 1])
        columns = [
            OddColumnOfRow(one.column, one.share, one.excess, text_of(one.value), text_of(one.low), text_of(one.high))
            for one in row.columns
        ]
        sentence = str(row).replace(f"row {row.row}:", f"row {number:,}:", 1)
        p_value = math.nan if row.p_value is None else row.p_value
        found.append(OddRow(number, row.log_prob, p_value, columns, values, sentence))
    return found

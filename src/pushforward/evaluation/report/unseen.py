"""Values that a model has never seen: in which columns of some rows they are, which, and in how many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pushforward.evaluation.report.contents import UnseenValues
from pushforward.evaluation.report.marginals import text_of
from pushforward.evaluation.report.sampled_rows import SampledRows
from pushforward.support.suggestions import shortened
from pushforward.support.wording import counted
from pushforward.table_models.model import TableModel

MOST_COLUMNS, MOST_VALUES = 5, 3


def unseen_values(model: TableModel, rows: SampledRows) -> list[UnseenValues]:
    """The columns with values that a model has never seen, those with the most such rows first."""
    found = []
    for place, name in enumerate(model.names):
        strange = rows.never[:, place]
        if not strange.any():
            continue
        column = rows.table.column(name).filter(strange)
        values = dict(Counter(map(text_of, column.to_pylist())).most_common())
        missing = not (rows.codes[strange, place] == rows.codes[strange, place]).any()
        found.append(UnseenValues(name, int(strange.sum()), values, not model.schema[name].measured, missing))
    return sorted(found, key=lambda one: -one.rows)


def named(one: UnseenValues) -> str:
    """The column and the values in words, at most three of them.

    Example:
        >>> named(UnseenValues("kind", 5, {"x": 4, "y": 1}, level=True, missing=False))
        'column kind has the level "x" in 4 rows and "y" in 1 row'
    """
    shown = list(one.values.items())[:MOST_VALUES]
    parts = [f'"{shortened(value)}" in {counted(rows, "row")}' for value, rows in shown]
    if len(one.values) > len(shown):
        left, rows = len(one.values) - len(shown), one.rows - sum(rows for _, rows in shown)
        parts.append(f"{counted(left, 'other')} in {counted(rows, 'row')}")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"column {shortened(one.column)} has the {'level' if one.level else 'value'} {listed}"


def sentence_of(found: Sequence[UnseenValues], where: str = "") -> str:
    """What was found in words, of some columns at most; "" for nothing.

    Arguments:
        found: by `unseen_values`.
        where: the rows are, in words; default not said.
    """
    if not found:
        return ""
    parts = [named(one) for one in found[:MOST_COLUMNS]]
    if len(found) > MOST_COLUMNS:
        parts.append(counted(len(found) - MOST_COLUMNS, "more column"))
    if all(one.missing for one in found):
        parts[-1] += "; these conditions are taken for missing"
    said = "; ".join(parts)
    return f"Never seen by the model{where}: {said}."

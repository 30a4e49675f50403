"""How surprising each column of some rows is given all others, under a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.evaluation.report.evidence import draws_like
from pushforward.evaluation.report.full_conditionals import full_conditionals
from pushforward.support.seeding import stream
from pushforward.table_models.model import TableModel

DRAWS = 400
# Evaluations of the flow that the quadratures of all columns may take, about, each of a row and column, and the fewest
# rows that they are made for.
EVALUATIONS, OF_ONE, FEWEST_ROWS = 4_000_000, 200, 50


def rows_within(models: Sequence[TableModel], names: Sequence[str], most: int) -> int:
    """For how many rows, at most so many, columns are looked at: fewer where one density takes many evaluations.

    Arguments:
        models: whose density it is.
        names: of the columns.
        most: rows.
    """
    of_row = OF_ONE * len(names) * sum(model.density.evaluations for model in models)
    return min(most, max(FEWEST_ROWS, EVALUATIONS // max(1, of_row)))


def column_surprise(model: TableModel, codes: np.ndarray, names: Sequence[str], seed: int) -> np.ndarray:
    """-log p(column | all other columns) of each row and column, nats, (n, names); 0 where the value is missing.

    Arguments:
        model: whose density it is.
        codes: (n, names of the model), of rows without values that the model has never seen.
        names: modeled columns that vary.
        seed: of the draws that give the columns' scales.
    """
    if not len(codes):
        return np.zeros((0, len(names)))
    draws = draws_like(model, codes[np.arange(DRAWS) % len(codes)], stream(seed, "scales of columns"))
    found = []
    for name in names:
        drawn = draws[:, model.names.index(name)]
        found.append(full_conditionals(model, codes, name, drawn[~np.isnan(drawn)]).nats)
    return np.nan_to_num(np.stack(found, 1), nan=0.0, posinf=np.inf)

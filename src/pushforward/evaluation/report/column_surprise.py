"""How surprising each column of some rows is given all others, under a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pushforward.evaluation.report.evidence import draws_like
from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import log_prob_of_rows
from pushforward.table_models.surprise import conditional_surprise

BATCH_ROWS, ROWS_AT_A_TIME, DRAWS = 4096, 64, 400


@torch.inference_mode()
def column_surprise(model: TableModel, codes: np.ndarray, names: Sequence[str], seed: int) -> np.ndarray:
    """-log p(column | all other columns) of each row and column, nats, (n, names).

    Arguments:
        model: whose density it is.
        codes: (n, names of the model), of rows without values that the model has never seen.
        names: columns that `pushforward.table_models.explanation.explainable` returns.
        seed: of the draws that give the columns' scales.
    """
    places = [model.names.index(name) for name in names]
    kinds = [model.schema[name] for name in names]
    levels = [None if (all_codes := kind.all_codes()) is None else torch.from_numpy(all_codes) for kind in kinds]
    ends = torch.tensor([kind.support for kind in kinds], dtype=torch.float64).t()
    some = codes[np.arange(DRAWS) % len(codes)] if len(codes) else codes
    scales = torch.from_numpy(draws_like(model, some, seed))[:, None, places].nan_to_num(0.0)
    found = np.zeros((len(codes), len(places)))
    for start in range(0, len(codes), ROWS_AT_A_TIME):
        whole = torch.from_numpy(codes[start : start + ROWS_AT_A_TIME])

        def log_prob(rows: Tensor, whole: Tensor = whole) -> Tensor:
            full = whole.repeat(len(rows) // len(whole), 1)
            full[:, places] = rows
            parts = [log_prob_of_rows(model.density, model.roles, part) for part in full.split(BATCH_ROWS)]
            # The maps of columns continue beyond the columns' support.
            return torch.where(((rows < ends[0]) | (rows > ends[1])).any(1), -torch.inf, torch.cat(parts))

        found[start : start + ROWS_AT_A_TIME] = conditional_surprise(log_prob, whole[:, places], scales, levels).nats
    return found

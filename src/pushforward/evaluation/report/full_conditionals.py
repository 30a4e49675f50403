"""The distribution function of a column given all others, by quadrature: for any density of rows."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import log_prob_of_rows
from pushforward.table_models.surprise import QUANTILES, log_masses, resolved

BATCH_ROWS, ROWS_AT_A_TIME = 4096, 128
# The share of draws at either end that say nothing of where a search begins.
OUTERMOST = 0.005


@torch.inference_mode()
def full_conditional_ends(model: TableModel, codes: np.ndarray, name: str, draws: np.ndarray) -> np.ndarray:
    """P(column < its value | all others) and P(column ≤ its value | all others) of each row, (2, n).

    p(column | others) = p(row) / ∫ p(row with t for its value) dt: a sum over the levels of a column with few, else by
    quadrature as in `pushforward.table_models.surprise`.

    Arguments:
        model: whose density it is.
        codes: (n, names), of rows without values that the model has never seen.
        name: the column.
        draws: (m,) of the column, which give its scale.

    Returns:
        The probabilities, NaN where the value is missing.
    """
    place, kind = model.names.index(name), model.schema[name]
    low, high = kind.support
    found = np.full((2, len(codes)), np.nan)
    present = np.flatnonzero(~np.isnan(codes[:, place]))
    levels = kind.all_codes()
    # Few draws may lie so far out that no search from there comes back to the others.
    spread = np.quantile(draws, np.linspace(OUTERMOST, 1 - OUTERMOST, QUANTILES))
    # Between an end of the support and the outermost draws there is mass, too.
    spread = np.concatenate([[low] * math.isfinite(low), spread, [high] * math.isfinite(high)])
    for start in range(0, len(present), ROWS_AT_A_TIME):
        some = present[start : start + ROWS_AT_A_TIME]
        rows = torch.from_numpy(codes[some])

        def at(points: Tensor, rows: Tensor = rows) -> Tensor:
            """log p of each row, (n,), with each of some values, (n, P)."""
            full = rows.repeat_interleave(points.shape[1], 0)
            full[:, place] = points.reshape(-1)
            parts = [log_prob_of_rows(model.density, model.roles, part) for part in full.split(BATCH_ROWS)]
            heights = torch.where((full[:, place] < low) | (full[:, place] > high), -torch.inf, torch.cat(parts))
            return heights.nan_to_num(nan=-torch.inf, neginf=-torch.inf).reshape(points.shape)

        own = rows[:, place]
        if levels is not None:
            found[:, some] = _of_levels(at, own, torch.from_numpy(levels).double()).numpy()
        else:
            found[:, some] = _of_numbers(*resolved(at, own, torch.from_numpy(spread)[None]), own).numpy()
    return found


def _of_levels(at: object, own: Tensor, levels: Tensor) -> Tensor:
    shares = at(levels.expand(len(own), -1)).softmax(1)  # type: ignore[operator]
    below = (shares * (levels < own[:, None])).sum(1)
    return torch.stack([below, below + (shares * (levels == own[:, None])).sum(1)])


def _of_numbers(points: Tensor, heights: Tensor, own: Tensor) -> Tensor:
    shares = log_masses(points, heights).softmax(1)
    below = (shares * (points[:, 1:] <= own[:, None])).sum(1).clamp(0, 1)
    return torch.stack([below, below])

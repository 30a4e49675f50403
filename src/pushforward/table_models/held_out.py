"""Log-densities of the rows that a fit holds out."""

from __future__ import annotations

import numpy as np
import torch

from pushforward.table_models.density import TableDensity
from pushforward.table_models.preparation import Prepared
from pushforward.training import evaluate


def held_out_log_prob(density: TableDensity, prepared: Prepared, held_out: np.ndarray) -> np.ndarray:
    """log_prob, (n,), of held-out rows: codes of the features and then of the context, and then their errors."""
    features, columns = len(prepared.roles.features), prepared.rows.train.shape[1]
    x = torch.from_numpy(np.hstack([held_out[:, :features], held_out[:, columns:]]))
    context = torch.from_numpy(held_out[:, features:columns]) if features < columns else None
    log_prob: np.ndarray = evaluate(density, x, context).double().cpu().numpy()
    return log_prob

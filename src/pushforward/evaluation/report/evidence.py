"""What all parts of a report look at: the rows, draws that stand beside them, and the log-densities of both."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pushforward.support.seeding import seed_of_block, seeded, stream
from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import BATCH_ROWS

# A row's own draws, for ranks among them.
DRAWS_OF_ROW = 39
# The most rows that have draws of their own.
MOST_WITH_DRAWS = 1000
# Draws of all rows together, and of one row; and numbers of all of them.
MANY_DRAWS, MANY_OF_ROW, MANY_NUMBERS = 50_000, 20, 5_000_000


@dataclass(frozen=True, eq=False)
class Evidence:
    """Rows of a table and draws from a model that stand beside them.

    A draw has the conditions, the measurement errors and the gaps of its row.

    Attributes:
        model: that is judged.
        codes: (n, names) of rows without values that the model has never seen.
        seed: of all draws.
    """

    model: TableModel
    codes: np.ndarray
    seed: int

    @functools.cached_property
    def log_prob(self) -> np.ndarray:
        """(n,) of the rows."""
        return log_prob_in_parts(self.model, self.codes)

    @functools.cached_property
    def draws(self) -> np.ndarray:
        """(n, names): one for each row."""
        return self._drawn(0)

    @functools.cached_property
    def many_draws(self) -> np.ndarray:
        """(L, n, names): L for each row, `draws` the first of them; 50,000 in all where that is at most 20 for each."""
        rows, names = self.codes.shape
        most = min(MANY_DRAWS, MANY_NUMBERS // max(1, names))
        count = max(1, min(MANY_OF_ROW, most // max(1, rows)))
        return np.stack([self.draws, *map(self._drawn, range(1, count))])

    def _drawn(self, place: int) -> np.ndarray:
        return draws_like(self.model, self.codes, stream(self.seed, f"draw {place}"))

    @functools.cached_property
    def log_prob_of_draws(self) -> np.ndarray:
        """(n,) of the draws."""
        return log_prob_in_parts(self.model, self.draws)

    @property
    def alike(self) -> bool:
        """Whether every row has the same density: no conditions, measurement errors or gaps."""
        roles = self.model.roles
        return not roles.conditioned and not roles.errors and not np.isnan(self.features).any()

    @property
    def places(self) -> list[int]:
        """Where the modeled columns that vary are in the codes."""
        return [self.model.names.index(name) for name in self.model.roles.modeled]

    @property
    def features(self) -> np.ndarray:
        """(n, modeled) of the rows."""
        return self.codes[:, self.places]

    @property
    def drawn_features(self) -> np.ndarray:
        """(n, modeled) of the draws."""
        return self.draws[:, self.places]

    @property
    def conditions(self) -> np.ndarray:
        """(n, given) codes of the given columns that vary."""
        return self.codes[:, [self.model.names.index(name) for name in self.model.roles.conditioned]]

    @functools.cached_property
    def several_draws(self) -> np.ndarray:
        """(L, m, names): draws for each of the first m rows."""
        some = self.codes[:MOST_WITH_DRAWS]
        seed = stream(self.seed, "several draws")
        return draws_like(self.model, np.tile(some, (DRAWS_OF_ROW, 1)), seed).reshape(-1, *some.shape)


def draws_like(
    model: TableModel, codes: np.ndarray, seed: int, report: Callable[[float], None] = lambda part: None
) -> np.ndarray:
    """Draw a row for each of some rows, with its conditions, its measurement errors and its gaps.

    Arguments:
        model: that draws.
        codes: (n, names).
        seed: of the draws.
        report: is told the share that is done, from 0 to 1.
    """
    roles, parts = model.roles, []
    given = [model.names.index(name) for name in roles.given]
    for block, start in enumerate(range(0, len(codes), BATCH_ROWS)):
        rows = codes[start : start + BATCH_ROWS]
        with seeded(seed_of_block(seed, block)):
            found = model.draw(given=rows[:, given]) if roles.given else model.draw(len(rows))
            drawn = np.concatenate([found, rows[:, len(roles.columns) :]], 1)
            for name, error in roles.errors.items():
                scale = torch.from_numpy(rows[:, model.names.index(error)])
                noise = torch.randn(len(rows), dtype=torch.float64) * scale
                drawn[:, model.names.index(name)] += noise.numpy()
        parts.append(np.where(np.isnan(rows), np.nan, drawn))
        report((start + len(rows)) / len(codes))
    return np.concatenate(parts) if parts else np.zeros_like(codes)


def log_prob_in_parts(
    model: TableModel, codes: np.ndarray, report: Callable[[float], None] = lambda part: None
) -> np.ndarray:
    """Log-density of rows, (n,), a few thousand at a time; arguments as for `draws_like`."""
    parts = []
    for start in range(0, len(codes), BATCH_ROWS):
        parts.append(model.log_prob(codes[start : start + BATCH_ROWS]))
        report(min(1.0, (start + BATCH_ROWS) / len(codes)))
    return np.concatenate(parts) if parts else np.zeros(0)

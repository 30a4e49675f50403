"""Parts of rows, each of which is held out of one of several fits, so that every row is held out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.training.splitting import far_from


@dataclass(frozen=True, eq=False)
class FoldedRows:
    """Rows that can be held out in turn.

    Attributes:
        matrix: (n, columns), NaN where a value is missing.
        copies: (n,) labels that are equal for copies, None where there are none.
        groups: (n,) of rows that stand together; default none but the copies.
    """

    matrix: Tensor
    copies: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def together(self) -> np.ndarray | None:
        """(n,) labels of rows that stand on one side, or None where each may stand by itself."""
        return self.copies if self.groups is None else self.groups

    def split(self, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """The training rows and the held-out ones of each of `count` fits, in the order of the rows.

        Copies, or the rows of a group, are held out together; of copies among the held-out rows only the first is kept,
        and copies of them on the other side are left out. Rows that are far from all others are always trained on.

        Arguments:
            count: how many parts, at least 2.
            seed: of the parts.

        Example:
            >>> folds = FoldedRows(torch.arange(10.0)[:, None]).split(5, seed=0)
            >>> [len(held_out) for _, held_out in folds], sorted(int(row) for _, some in folds for row in some)
            ([2, 2, 2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        """
        part = self.parts(count, seed)
        return [self._split(np.flatnonzero(part == number), np.flatnonzero(part != number)) for number in range(count)]

    def held_out_once(self, folds: Sequence[tuple[Tensor, Tensor]]) -> np.ndarray:
        """Which rows, (n,), were held out of a fit, or stand together with one that was: all but those far away."""
        labels = np.arange(len(self.matrix)) if self.together is None else self.together
        return np.isin(labels, labels[torch.cat([held_out for _, held_out in folds]).numpy()])

    def parts(self, count: int, seed: int) -> np.ndarray:
        """The number of the part, (n,), that each row is in."""
        together = np.arange(len(self.matrix)) if self.together is None else self.together
        _, labels, sizes = np.unique(together, return_inverse=True, return_counts=True)
        part, filled = np.empty(len(sizes), dtype=int), np.zeros(count)
        # Large groups first, each to the part with the fewest rows; groups of one size in random order.
        order = np.random.default_rng(seed).permutation(len(sizes))
        for group in order[np.argsort(-sizes[order], kind="stable")]:
            part[group] = filled.argmin()
            filled[part[group]] += sizes[group]
        found: np.ndarray = part[labels]
        return found

    def _split(self, held_out: np.ndarray, training: np.ndarray) -> tuple[Tensor, Tensor]:
        if self.copies is not None:
            held_out = held_out[np.sort(np.unique(self.copies[held_out], return_index=True)[1])]
            apart = ~np.isin(self.copies[training], self.copies[held_out])
            training = training[apart] if apart.any() else training
        rows, others = torch.from_numpy(held_out), torch.from_numpy(training)
        far = far_from(self.matrix[rows], self.matrix[others])
        if bool(far.all()):
            return others, rows
        return torch.cat([others, rows[far]]).sort().values, rows[~far]

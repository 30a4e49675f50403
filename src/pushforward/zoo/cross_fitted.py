"""A function that was fitted to rows, and what is said of each row without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.oblivious_trees import ObliviousTrees


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A regression, and what it says of rows that it has not seen.

    Attributes:
        name: what people call it.
        model: of all rows.
        unseen: (n,) what is said of each row by what has not seen it.
        explained: the share of the variance of the targets that this explains; negative if it is worse than a mean.
    """

    name: str
    model: ObliviousTrees | KernelRegression
    unseen: np.ndarray
    explained: float

    @classmethod
    def of(cls, name: str, model: ObliviousTrees | KernelRegression, unseen: np.ndarray, y: np.ndarray) -> CrossFitted:
        """Of targets, (n,)."""
        variance = float(np.var(y))
        return cls(name, model, unseen, 1 - float(np.square(y - unseen).mean()) / variance if variance else 0.0)

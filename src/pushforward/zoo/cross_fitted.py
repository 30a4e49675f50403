"""A function that was fitted to rows, and what is said of each row without it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.regression_trees import RegressionTrees

# By how many of its standard errors squares must be smaller than those about the mean.
STANDARD_ERRORS = 3


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A regression, and what it says of rows that it has not seen.

    Attributes:
        name: what people call it.
        model: of all rows.
        unseen: (n,) what is said of each row by what has not seen it.
        explained: the share of the variance of the targets that this explains; negative if it is worse than a mean.
        helps: whether it explains more than three standard errors of this.

    Example:
        >>> y = np.arange(20.0)
        >>> trees = RegressionTrees(features=1, trees=0, nodes=0, depth=0)
        >>> CrossFitted.of("half", trees, 0.5 * y, y).helps, CrossFitted.of("other", trees, y % 3, y).helps
        (False, False)
        >>> CrossFitted.of("nearly", trees, y + y % 3, y).helps
        True
    """

    name: str
    model: RegressionTrees | KernelRegression
    unseen: np.ndarray
    explained: float
    helps: bool

    @classmethod
    def of(cls, name: str, model: RegressionTrees | KernelRegression, unseen: np.ndarray, y: np.ndarray) -> CrossFitted:
        """Of targets, (n,)."""
        gain = np.square(y - y.mean()) - np.square(y - unseen)
        helps = bool(gain.mean() > STANDARD_ERRORS * gain.std() / math.sqrt(len(y)))
        return cls(name, model, unseen, float(gain.mean() / (np.var(y) or 1.0)), helps)

"""A function that was fitted to rows, and what is said of each row without it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.regression_trees import RegressionTrees

# By how many of its standard errors squares must be smaller.
STANDARD_ERRORS = 3


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
    model: RegressionTrees | KernelRegression
    unseen: np.ndarray
    explained: float

    @classmethod
    def of(cls, name: str, model: RegressionTrees | KernelRegression, unseen: np.ndarray, y: np.ndarray) -> CrossFitted:
        """Of targets, (n,)."""
        gain = np.square(y - y.mean()) - np.square(y - unseen)
        return cls(name, model, unseen, float(gain.mean() / (np.var(y) or 1.0)))


def leaves_less(left: np.ndarray, others: np.ndarray, together: np.ndarray | None = None) -> bool:
    """Whether squares of what is left of rows are smaller than others by three standard errors of the difference.

    Rows that stand together, such as copies of one row, say once what they say: the standard error is that of the sums
    over them.

    Arguments:
        left: (n,) of each row.
        others: (n,) that are to be larger.
        together: (n,) labels of rows that stand together; None where each stands by itself.

    Source: Liang and Zeger 1986, doi:10.1093/biomet/73.1.13, for the standard error.

    Example:
        >>> y = np.tile([1.0, -1.0, 2.0, -3.0], 5)
        >>> leaves_less(0.5 * y, y), leaves_less(0.5 * y, y, np.arange(20) % 4)
        (True, False)
    """
    gain = np.square(others) - np.square(left)
    sums = gain - gain.mean()
    if together is not None:
        _, label = np.unique(together, return_inverse=True)
        sums = np.bincount(label, sums)
    error = math.sqrt(float(np.square(sums).sum())) / len(gain)
    return bool(gain.mean() > STANDARD_ERRORS * error)

"""Regressions of the one target of an estimator, which flows are shown beside the columns of X."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections import MarginalSpline
from pushforward.bijections.cross_fitting import straight_features
from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.one_fit import Rows
from pushforward.training.folds import FoldedRows
from pushforward.zoo.boosted_trees import TREES, boosted_trees
from pushforward.zoo.cross_fitted import CrossFitted, leaves_less
from pushforward.zoo.kernel_regression import MOST_POINTS, STEPS, kernel_regression
from pushforward.zoo.linear_regression import regression_with_residuals
from pushforward.zoo.recipe import MOST_OF_CONTEXT, knots_for

# Rows are divided so often, into so many parts, and trees are so deep: few rows, and many.
DIVISIONS = 2
FEW_ROWS, PARTS_OF_FEW, DEPTH_OF_FEW = 2_000, 5, 6
PARTS, DEPTH = 3, 8
# Predicted without itself alone, a row of a smooth function is below what others say by what it is above it: beside the
# columns of X that would tell the target. Without a tenth of the rows it hardly does.
PARTS_OF_KERNELS = 10
# The most of a fit's time that trees and kernels take.
TIME_OF_TREES, TIME_OF_KERNELS = 0.2, 0.1
# What the most kernels take to be inverted on one thread, about.
SECONDS_OF_KERNELS = 2.0


def regressions_of(
    kinds: ColumnKinds,
    rows: Rows,
    folded: FoldedRows,
    seed: int,
    max_time: float | None,
    max_steps: int | None,
) -> list[CrossFitted]:
    """The regressions of a target, made normal, that say something of rows that they have not seen.

    Arguments:
        kinds: of the target.
        rows: of the fit, of one target.
        folded: the same, and which of them stand together.
        seed: of the parts and of the rows that are drawn.
        max_time: seconds of the whole fit.
        max_steps: most steps of a training, and most trees.
    """
    points, given = rows.points, rows.given
    if given is None or given.shape[1] > MOST_OF_CONTEXT:
        return []
    options = kinds.flow_options()
    ends: dict[str, Any] = {name: options[name] for name in ("low", "high", "normal") if name in options}
    knots = knots_for(len(points))
    straight = straight_features(points, knots, **ends)
    scores = MarginalSpline.from_data(points, knots, **ends, straight=straight).inverse(points)[0]
    y = scores[:, 0].double().numpy()
    most = math.inf if max_steps is None else max_steps
    time = math.inf if max_time is None else max_time
    few = len(y) <= FEW_ROWS
    parts = PARTS_OF_FEW if few else PARTS
    trees = boosted_trees(
        y,
        given,
        np.stack([folded.parts(parts, seed + number) for number in range(DIVISIONS)]),
        seed,
        depth=DEPTH_OF_FEW if few else DEPTH,
        trees=int(min(TREES, most)),
        seconds=TIME_OF_TREES * time,
    )
    seconds = TIME_OF_KERNELS * time
    kernels = kernel_regression(
        y,
        given,
        folded.parts(PARTS_OF_KERNELS, seed),
        seed,
        points=int(MOST_POINTS * min(1.0, seconds / SECONDS_OF_KERNELS) ** (1 / 3)),
        steps=int(min(STEPS, most)),
        seconds=seconds,
    )
    # Flows have the mean and the line already: beside the columns of X what is said of a row without it would else tell
    # how its target differs from them.
    simpler = [y - y.mean(), _left_by_line(scores, torch.from_numpy(given))]
    found = [one for one in (trees, kernels) if one is not None]
    return [one for one in found if all(leaves_less(y - one.unseen, left, folded.together) for left in simpler)]


def _left_by_line(y: Tensor, given: Tensor) -> np.ndarray:
    """What the linear regression leaves of targets, (n,), as of fresh rows."""
    deviation, mean = torch.std_mean(given.double(), 0, correction=0)
    units = (given.double() - mean) / deviation.masked_fill(deviation == 0, 1.0)
    left = regression_with_residuals(y, units)[2]
    found: np.ndarray = (left[:, 0] * math.sqrt(len(left))).numpy()
    return found


def line_of(regressions: Sequence[CrossFitted]) -> str:
    """What flows are shown, for people."""
    each = " and ".join(f"{one.name} ({one.explained:.1%})" for one in regressions)
    return f"flows are shown the target by {each} of its variance in rows that they have not seen"

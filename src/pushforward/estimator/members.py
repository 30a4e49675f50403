"""A conditional density as the mixture of a few flows, each with other rows held out, and of linear regressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.gaussian_start import gaussian_of_split, held_out_log_prob
from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.one_fit import Rows
from pushforward.estimator.varying import constant_columns
from pushforward.flow import Flow
from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.regression_trees import RegressionTrees
from pushforward.support.modules import device_of
from pushforward.training import History
from pushforward.training.copies import copies_of
from pushforward.training.splitting import split_table
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.mixture_weights import mixed, mixture_weights

# Flows of few rows differ by chance, and in what they overfit, so that their mixture is better than each of them. Of
# more rows each needs more of the time.
MEMBERS, ROWS_OF_MEMBERS = 5, 2_000
MEMBERS_OF_MANY, MOST_ROWS = 2, 20_000


def splits_of_members(
    rows: Rows, first: tuple[Tensor, Tensor], fraction: float, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """The splits of the flows of a mixture, the first of which is given.

    Of many rows there is one alone. Splits in which the training rows of a column do not vary are left out, unless it
    is a flag.

    Arguments:
        rows: of the fit.
        first: training and held-out rows.
        fraction: of rows that are held out.
        seed: of the first split.
    """
    splits, codes, given = [first], rows.codes, rows.given
    if len(codes) > MOST_ROWS or given is None:
        return splits
    members = MEMBERS if len(codes) <= ROWS_OF_MEMBERS else min(MEMBERS, MEMBERS_OF_MANY)
    whole = np.hstack([codes, given])
    copies = copies_of(whole)
    columns = np.setdiff1d(np.arange(whole.shape[1]), codes.shape[1] + np.array(rows.flags, dtype=int))
    for member in range(1, members):
        split = split_table(torch.from_numpy(whole), fraction, seed + member, copies=copies)
        if not constant_columns(whole[split[0].numpy()][:, columns]).any():
            splits.append(split)
    return splits


def mixture_of(
    found: Sequence[tuple[Flow, History]],
    kinds: ColumnKinds,
    rows: Rows,
    splits: Sequence[tuple[Tensor, Tensor]],
    regressions: Sequence[RegressionTrees | KernelRegression] = (),
) -> FlowMixture:
    """The mixture of flows, and of the linear regressions of their training rows; the first history says its value.

    All flows have the same weight, and so have the regressions. What the two together weigh is the maximum of the
    likelihood of the held-out rows, each under the flow and the regression that it was held out of, with one more row
    for either: a row far from what a flow predicts is improbable, and not impossible.

    Arguments:
        found: flows and their histories.
        kinds: of the columns.
        rows: of the fit.
        splits: of the flows.
        regressions: of which the last columns that the flows were given were made; default none.
    """
    history, device = found[0][1], device_of(found[0][0])
    flows: list[Flow] = []
    gaussians: list[Flow] = []
    values = []
    for (flow, _), split in zip(found, splits, strict=True):
        flows.append(flow.cpu().eval())
        gaussian = gaussian_of_split(flow, kinds, rows, split)[0]
        if gaussian is not None:
            gaussians.append(gaussian.eval())
            values.append(np.stack([held_out_log_prob(some, kinds, rows, split) for some in (flow, gaussian)]))
    if len(gaussians) < len(flows):
        return FlowMixture(flows, regressions=regressions).to(device).eval()
    each = np.concatenate(values, 1)
    of_kinds = mixture_weights(each)
    share = float(of_kinds[1])
    history.best_held_out = float(mixed(each, of_kinds).mean())
    history.events.append(
        f"mixture: {len(flows)} of these flows, each with other rows held out, and {share:.1%} linear regression"
    )
    weights = [(1 - share) / len(flows)] * len(flows) + [share / len(flows)] * len(flows)
    return FlowMixture([*flows, *gaussians], weights, regressions).to(device).eval()

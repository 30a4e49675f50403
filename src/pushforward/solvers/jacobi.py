"""Autoregressive layers against the grain, all features at once, again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.solvers.derivatives import derivatives_wanted
from pushforward.solvers.sequential import solve_sequentially

if TYPE_CHECKING:
    from pushforward.bijections.univariate.base import Univariate
    from pushforward.networks.made import MADE

# A change of this many roundings is none.
ROUNDINGS = 16


def solve_by_iteration(
    conditioner: MADE,
    univariate: Univariate,
    z: Tensor,
    context: Tensor | None = None,
    *,
    cap: int = 32,
    tolerance: float | None = None,
    report: Callable[[int, bool], None] = lambda sweeps, settled: None,
) -> tuple[Tensor, Tensor]:
    """Solve x = univariate(z; conditioner(x, context)) by sweeps over all features at once (Jacobi).

    Feature p is right for good after p sweeps; where features depend weakly on each other, a few sweeps settle all of
    them. A last sweep verifies that nothing moves any more, and gives the log_det. A value that is not finite on the
    way, or more sweeps than `cap`, hands the problem to `solve_sequentially`, which is exact in any case; so do
    enabled gradients, for which it is the cheaper way.

    Arguments:
        conditioner: a masked network; it serves without dropout, in training mode too.
        univariate: the family of maps.
        z: (*batch, D).
        context: (*batch, C), broadcast against the batch of z.
        cap: most sweeps, default 32.
        tolerance: largest change, relative to what is larger than 1, that counts as none; default 16 roundings.
        report: is told the number of sweeps, and whether they settled.

    Returns:
        x, (*batch, D), and log|det ∂x/∂z|, (*batch).

    Cost: a pass for each sweep, at most D + 1. It pays where that is a handful, and D is large.

    Source: Song, Meng, Liao and Ermon 2021, arXiv:2002.03629.

    Example:
        >>> from pushforward.bijections import Affine
        >>> from pushforward.networks import MADE
        >>> made = MADE(features=5, parameter_count=2, hidden=(8, 8))
        >>> with torch.no_grad():
        ...     x, log_det = solve_by_iteration(made, Affine(), torch.zeros(3, 5))
        >>> torch.allclose(x, solve_sequentially(made, Affine(), torch.zeros(3, 5))[0], atol=1e-5)
        True
    """
    if not derivatives_wanted():
        least = ROUNDINGS * torch.finfo(z.dtype).eps if tolerance is None else tolerance
        x = z if context is None else z.expand(*torch.broadcast_shapes(z.shape[:-1], context.shape[:-1]), -1)
        for sweep in range(1, min(cap, conditioner.features + 1) + 1):
            following, log_derivative = univariate.forward(z, conditioner(x, context, dropout=False))
            change = ((following - x).abs() / following.abs().clamp_min(1)).amax() if x.numel() else z.new_zeros(())
            x = following
            # Not a comparison with NaN, which would look like one that has not settled yet.
            if not bool(x.isfinite().all()):
                break
            if bool(change <= least):
                report(sweep, True)
                return x, log_derivative.sum(-1)
        report(sweep, False)
    return solve_sequentially(conditioner, univariate, z, context)

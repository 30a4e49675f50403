"""Conditioned maps, univariate(value; conditioner(known, context)), and the one choice of the code that computes them.

`Autoregressive` and `Coupling` state the formula; this file takes the first of these that can compute it:

1. a compiled kernel for a whole autoregressive layer, where nothing is to be differentiated;
2. compiled kernels for a whole layer and its gradients;
3. on a GPU, Triton kernels for the same two things;
4. operations of torch, which compute everything, on every device and to any order of derivative.

All give the same results up to rounding. The kernels need a network and a family that they know; those for processors
compute values alone in float64, those for GPUs everything in float32 and float64.
"""

import torch
from torch import Tensor

from pushforward.bijections.univariate.base import Univariate
from pushforward.kernels.autoregressive import autoregressive
from pushforward.kernels.eligibility import derivatives_wanted, fits_with, is_float32_on_cpu
from pushforward.kernels.gpu.eligibility import fits_beside, may_run_on_gpu
from pushforward.kernels.layer import whole_layer
from pushforward.kernels.univariate import may_run_compiled
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP, Fits, batch_of, unit_by_unit
from pushforward.solvers.sequential import solve_sequentially


def forward(
    univariate: Univariate, conditioner: MADE | MLP, z: Tensor, known: Tensor, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """x = univariate(z; conditioner(known, context)).

    Arguments:
        univariate: the family of maps.
        conditioner: the network that supplies its parameters.
        z: (*batch, D).
        known: (*batch, inputs), the features that the conditioner reads.
        context: (*batch, C), broadcast against the batch of z, or None.

    Returns:
        x, (*batch, D), and log|det ∂x/∂z|, (*batch).
    """
    return _evaluate(univariate, conditioner, z, known, context, inverse=False)


def inverse(
    univariate: Univariate, conditioner: MADE | MLP, x: Tensor, known: Tensor, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The z of x = univariate(z; conditioner(known, context)).

    Arguments:
        univariate: the family of maps.
        conditioner: the network that supplies its parameters.
        x: (*batch, D).
        known: (*batch, inputs), the features that the conditioner reads.
        context: (*batch, C), broadcast against the batch of x, or None.

    Returns:
        z, (*batch, D), and log|det ∂z/∂x|, (*batch).
    """
    return _evaluate(univariate, conditioner, x, known, context, inverse=True)


def solve(univariate: Univariate, conditioner: MADE, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The x of x[d] = univariate(z[d]; conditioner(x[before d], context)), one feature after the other.

    Arguments:
        univariate: the family of maps.
        conditioner: a masked network.
        z: (*batch, D).
        context: (*batch, C), broadcast against the batch of z, or None.

    Returns:
        x, (*batch, D), and log|det ∂x/∂z|, (*batch).
    """
    if torch.is_autocast_enabled(z.device.type):
        # Each feature is computed from those before: roundings would add up.
        with torch.autocast(z.device.type, enabled=False):
            return solve(univariate, conditioner, z, context)
    batch = batch_of(z, context, conditioner.context_features)
    z = z.expand(*batch, conditioner.features)
    if may_run_compiled(univariate, z):
        found = _without_derivatives(univariate, conditioner, z, context, inverse=False)
        if found is not None:
            return found
    if not derivatives_wanted() and may_run_on_gpu(univariate, z):
        found = _solved_on_gpu(univariate, conditioner, z, context)
        if found is not None:
            return found
    return solve_sequentially(univariate.forward, conditioner, z, context)


def trains_compiled(univariate: Univariate, conditioner: MADE | MLP) -> bool:
    """Whether kernels compute a whole layer and its gradients, as far as its family and its network decide that."""
    weight = next(conditioner.parameters())
    return (
        not conditioner.dropout
        and is_float32_on_cpu(weight)
        and may_run_compiled(univariate, weight)
        and conditioner.as_dense() is not None
    )


def _evaluate(
    univariate: Univariate,
    conditioner: MADE | MLP,
    value: Tensor,
    known: Tensor,
    context: Tensor | None,
    inverse: bool,
) -> tuple[Tensor, Tensor]:
    batch = batch_of(known, context, conditioner.context_features)
    rows = value if value.shape[:-1] == batch else value.expand(*batch, value.shape[-1])
    others = None if known is value else known
    drops = conditioner.dropout and conditioner.training
    if not drops and may_run_compiled(univariate, value):
        found = _without_derivatives(univariate, conditioner, rows, context, inverse)
        if found is None and rows.dim() == 2 and rows.numel():
            found = _with_gradients(univariate, conditioner, rows, others, context, inverse)
        if found is not None:
            return found
    if not drops and may_run_on_gpu(univariate, value):
        found = _on_gpu(univariate, conditioner, rows, others, context, inverse)
        if found is not None:
            return found
    if others is None and value.dim() == 2:
        # Feature by feature in memory, as the parameters are, and as the next layer then finds its input.
        value = known = value.t().contiguous().t()
    direction = univariate.inverse if inverse else univariate.forward
    mapped, log_derivative = direction(value, conditioner(known, context))
    return mapped, log_derivative.sum(-1)


def _without_derivatives(
    univariate: Univariate, conditioner: MADE | MLP, rows: Tensor, context: Tensor | None, inverse: bool
) -> tuple[Tensor, Tensor] | None:
    """By the kernel of autoregressive layers, or None where it cannot compute this."""
    if derivatives_wanted() or not (context is None or fits_with(rows)(context)):
        return None
    network = conditioner.as_sorted(fits_with(rows))
    return None if network is None else autoregressive(network, univariate, rows, context, inverse)


def _with_gradients(
    univariate: Univariate,
    conditioner: MADE | MLP,
    rows: Tensor,
    others: Tensor | None,
    context: Tensor | None,
    inverse: bool,
) -> tuple[Tensor, Tensor] | None:
    """By the kernels of whole layers, or None where they cannot compute this."""
    takes = fits_with(rows)
    network = conditioner.as_dense(takes)
    if network is None:
        return None
    read = _read_by(conditioner, rows, others, context, takes)
    return None if read is None else whole_layer(network, univariate, inverse, rows, *read)


def _on_gpu(
    univariate: Univariate,
    conditioner: MADE | MLP,
    rows: Tensor,
    others: Tensor | None,
    context: Tensor | None,
    inverse: bool,
) -> tuple[Tensor, Tensor] | None:
    """By the Triton kernels of whole layers, or None where they cannot compute this."""
    takes = fits_beside(rows)
    network = conditioner.as_dense(takes)
    # A first layer without any input is left to torch.
    if network is None or not rows.numel() or not network[0].weight.numel():
        return None
    read = _read_by(conditioner, rows, others, context, takes)
    if read is None:
        return None
    # Imported here: triton takes a second, and only a GPU needs it.
    from pushforward.kernels.gpu.layer import whole_layer_on_gpu

    known, added = read
    if rows.dim() == 2:
        return whole_layer_on_gpu(network, univariate, inverse, rows, known, added)
    known = None if known is None else known.reshape(-1, known.shape[-1])
    flat = rows.reshape(-1, rows.shape[-1])
    mapped, log_det = whole_layer_on_gpu(network, univariate, inverse, flat, known, added)
    return mapped.view(rows.shape), log_det.view(rows.shape[:-1])


def _read_by(
    conditioner: MADE | MLP, rows: Tensor, others: Tensor | None, context: Tensor | None, takes: Fits
) -> tuple[Tensor | None, Tensor | None] | None:
    """What a network reads, None for the rows, and what its context adds to the first layer; None if not taken."""
    batch = rows.shape[:-1]
    if conditioner.sees_inputs:
        known = None if others is None else others.expand(*batch, others.shape[-1])
        return known, None if conditioner.context is None else unit_by_unit(conditioner.context(context), batch)
    if context is None or conditioner.context is None:
        return rows[..., :0], None
    return (context.expand(*batch, -1), None) if takes(context) else None


def _solved_on_gpu(
    univariate: Univariate, conditioner: MADE, z: Tensor, context: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """By the Triton kernel that solves an autoregressive layer in one launch, or None where it cannot."""
    network = conditioner.as_sorted(fits_beside(z))
    if network is None or not z.numel():
        return None
    from pushforward.kernels.gpu.solve import solve_on_gpu

    batch = z.shape[:-1]
    added = [
        None if layer is None else unit_by_unit(layer(context), batch)
        for layer in (conditioner.context, conditioner.direct_context)
    ]
    x, log_det = solve_on_gpu(network, univariate, z.reshape(-1, z.shape[-1]), *added)
    return x.view(z.shape), log_det.view(batch)

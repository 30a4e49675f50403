"""Conditioned maps, univariate(value; conditioner(known, context)), and the one choice of the code that computes them.

`Autoregressive` and `Coupling` state the formula; this file takes the first of these that can compute it:

1. a compiled kernel for a whole autoregressive layer, where nothing is to be differentiated;
2. compiled kernels for a whole layer and its gradients;
3. operations of torch, which compute everything, on every device and to any order of derivative.

All three give the same results up to rounding. The kernels need float32 on a processor and a network and a family that
they know.
"""

from torch import Tensor

from pushforward.bijections.univariate.base import Univariate
from pushforward.kernels.autoregressive import autoregressive, weights_for_kernel
from pushforward.kernels.layer import layer_of, whole_layer
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP, batch_of, unit_by_unit
from pushforward.solvers.derivatives import derivatives_wanted
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
    return solve_sequentially(conditioner, univariate, z, context)


def _evaluate(
    univariate: Univariate,
    conditioner: MADE | MLP,
    value: Tensor,
    known: Tensor,
    context: Tensor | None,
    inverse: bool,
) -> tuple[Tensor, Tensor]:
    batch = batch_of(known, context, conditioner.context_features)
    rows = value.expand(*batch, value.shape[-1])
    own = known is value
    if not (conditioner.dropout and conditioner.training):
        if isinstance(conditioner, MADE) and not derivatives_wanted():
            weights = weights_for_kernel(conditioner, univariate, value, context)
            if weights is not None:
                return autoregressive(conditioner, weights, univariate, rows, context, inverse)
        products = conditioner.products()
        layer = None if products is None else layer_of(conditioner, products, univariate, inverse, rows)
        if layer is not None:
            added = None if conditioner.context is None else unit_by_unit(conditioner.context(context), batch)
            return whole_layer(layer, rows, None if own else known.expand(*batch, known.shape[-1]), added)
    if own and value.dim() == 2:
        # Feature by feature in memory, as the parameters are, and as the next layer then finds its input.
        value = known = value.t().contiguous().t()
    value, log_derivative = (univariate.inverse if inverse else univariate.forward)(value, conditioner(known, context))
    return value, log_derivative.sum(-1)

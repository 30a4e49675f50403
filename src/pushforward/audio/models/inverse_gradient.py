"""Gradients of a likelihood whose latents were found step by step, without a record of the steps."""

from collections.abc import Callable

import torch
from torch import Tensor

# The adjoint equation is solved to this power of the rounding error: to 7e-5 in float32, to 4e-10 in float64.
DIGITS = 0.6
# Where steps grow too much for that, blocks of times are so many times shorter.
SHORTER = 4

# x and log ∂x[t]/∂z[t] of z, all of them (rows, T), where x[t] depends on z[t] and those before it.
Flow = Callable[[Tensor], tuple[Tensor, Tensor]]


def through_inverse(
    flow: Flow, z: Tensor, scored: Tensor, adjoint: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return x = flow(z), and -Σ_t scored[t] log ∂x[t]/∂z[t] sample by sample, with the gradient that z(x) has.

    At fixed x, z depends on the weights of the flow as the implicit function theorem says, ∂z = -J⁻¹ ∂flow with
    J = ∂x/∂z. With `adjoint`, the gradient by z of the terms of other flows and of the base, all terms together have
    the gradient of

        L - Σ_t v[t] x[t]   at fixed z and v,   where   L = -Σ_t scored[t] log ∂x[t]/∂z[t],   J' v = adjoint + ∂L/∂z,

    and J' is J transposed; v is the gradient by x, the adjoint of the flow after this one. J' v = g is solved by
    v <- v + (g - J' v) / diagonal of J, each step a product of J' with a vector, which is a backward pass of the flow.
    J is triangular, so T steps give the solution; they end when a step changes no digit that counts, and are taken for
    blocks of times where they would grow: see `solve_adjoint`.

    Arguments:
        flow: From z to x, a causal map.
        z: Of given x, (rows, T).
        scored: The weight of each sample, (rows, T).
        adjoint: (rows, T); None if no gradient is wanted.

    Returns:
        x, (rows, T), the terms of L, (rows, T), and v, (rows, T).

    Cost: a pass of the flow, and a backward pass for each step of the adjoint equation.

    Source: as for `pushforward.solvers.contraction`, without a Jacobian.

    Example:
        >>> gain = torch.tensor(2.0, requires_grad=True)
        >>> x, z = torch.tensor([[4.0]]), torch.tensor([[2.0]])  # x = gain z
        >>> scored = torch.ones(1, 1)
        >>> flow = lambda z: (gain * z, gain.log().expand_as(z))
        >>> _, of_flow, _ = through_inverse(flow, z, scored, -z)  # the slope of a standard normal base
        >>> torch.autograd.grad(of_flow.sum(), gain)[0]  # of -(x / gain)² / 2 - log gain
        tensor(1.5000)
    """
    if adjoint is None:
        x, log_derivative = flow(z)
        return x, -scored * log_derivative, None
    z = z.detach().requires_grad_()
    x, log_derivative = flow(z)
    of_flow = -scored * log_derivative
    # A flow whose scales do not depend on z has no such term.
    (slope,) = torch.autograd.grad(of_flow.sum(), z, retain_graph=True, allow_unused=True)
    v = solve_adjoint(x, z, log_derivative.detach().exp(), adjoint if slope is None else adjoint + slope)
    return x.detach(), of_flow - v * (x - x.detach()), v


def solve_adjoint(x: Tensor, z: Tensor, diagonal: Tensor, g: Tensor) -> Tensor:
    """Solve J' v = g, where J = ∂x/∂z is triangular in time.

    All times are solved together if the steps shrink. If they grow, though v may be of ordinary size, the last ones are
    solved first, in blocks in which the steps do shrink; in a block of one time, the first step is exact.

    Arguments:
        x: Computed from z, which requires a gradient, (rows, T).
        z: (rows, T).
        diagonal: Of J, (rows, T).
        g: (rows, T).

    Returns:
        v, (rows, T); not finite where the equation has no solution that is.

    Cost: a backward pass for each step, a few for all times or for each block.
    """
    first = g / diagonal
    if not bool(first.isfinite().all()):
        return first
    end = length = z.shape[1]
    v = torch.zeros_like(g)
    while end:
        start = max(0, end - length)
        block = _solve_block(x, z, diagonal, g, v, slice(start, end))
        if block is None:
            length = -(-length // SHORTER)
        else:
            v, end = block, start
    return v


def _solve_block(x: Tensor, z: Tensor, diagonal: Tensor, g: Tensor, v: Tensor, times: slice) -> Tensor | None:
    """Return v with the solution at some times, given that at all later ones; None if the steps to it grow."""
    eps = torch.finfo(v.dtype).eps
    # Rounding of steps that are this many times larger than others would count in the solution.
    tolerance, growth = eps**DIGITS, eps ** (DIGITS - 1)
    v, smallest = v.clone(), torch.full_like(v[:, 0], torch.inf)
    for _ in range(times.stop - times.start):
        (product,) = torch.autograd.grad(x, z, v, retain_graph=True)
        step = ((g - product) / diagonal)[:, times]
        v[:, times] += step
        size, counted = step.abs().amax(1), tolerance * v.abs().amax(1)
        if not bool((size > counted).any()):
            return v
        if times.stop - times.start > 1 and not bool((size <= growth * torch.maximum(smallest, counted)).all()):
            return None
        smallest = torch.minimum(smallest, size)
    return v

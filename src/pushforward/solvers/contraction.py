"""Solutions of z + g(z) = x for a contraction g of vectors, many at once, with gradients to whatever g is made of."""

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.solvers.solutions import RootReport, with_gradients

# With a Lipschitz constant of 0.97 every step of the fixed point keeps at most 0.97 of the residual: 1,200 steps reach
# the last float from anywhere.
MAXIMUM_STEPS = 2000
# The residual of a solution, in roundings of the terms that it is the sum of.
ROUNDINGS = 32

# g, and what computes its Jacobian, (*batch, D, D), if that is asked for.
Contraction = Callable[[Tensor], tuple[Tensor, Callable[[], Tensor]]]


def solve_contraction(function: Contraction, x: Tensor, lipschitz: float, *, newton: bool = True) -> Tensor:
    """Solve z + g(z) = x, where |g(a) - g(b)| ≤ lipschitz · |a - b| with lipschitz below 1.

    The fixed point z ← x - g(z) keeps at most `lipschitz` of the residual |z + g(z) - x| in each step. With `newton`,
    a step is Newton's, z ← z - (1 + J)⁻¹ (z + g(z) - x), as long as it does at least as well as that. The solution has
    exact first and second derivatives by x and by everything that `function` closes over: see `with_gradients`.

    Arguments:
        function: gives g, (*batch, D), and what computes its Jacobian, (*batch, D, D), at z, (*batch, D).
        x: (*batch, D).
        lipschitz: of g in the Euclidean norm.
        newton: whether Jacobians are worth their cost in the search, default True. Gradients always need one.

    Returns:
        z, (*batch, D). A row of x that is not finite gives NaN.

    Raises:
        SolverError: a row did not converge: g does not contract there, or is not finite. The message names the
            first one.

    Cost: 3 to 8 Newton steps, or log(eps) / log(lipschitz) steps of the fixed point.

    Source: Behrmann et al. 2019, arXiv:1811.00995.

    Example:
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> z = solve_contraction(lambda z: (0.5 * z.sin(), lambda: torch.diag_embed(z.cos() / 2)), x, 0.5)
        >>> torch.allclose(z + 0.5 * z.sin(), x)
        True
    """
    z, report = search_contraction(function, x, lipschitz, newton=newton)
    report.check(
        "rows were not inverted, the first one",
        lambda first: f"; is the map finite there, and a contraction with the constant {lipschitz:g}?",
    )

    def residual(z: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        value, jacobian = function(z)
        return z + value - x, jacobian

    return with_gradients(z, residual, _divided_by_one_plus)


def _divided_by_one_plus(jacobian: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
    inverse = torch.linalg.inv(_one_plus(jacobian().detach()))
    return lambda value: (inverse @ value[..., None])[..., 0]


@torch.no_grad()
def search_contraction(
    function: Contraction, x: Tensor, lipschitz: float, *, newton: bool = True
) -> tuple[Tensor, RootReport]:
    """Search as `solve_contraction` does, without gradients, and report instead of raising.

    Returns:
        The best z found, and how the search went for each row: whether it converged, how many evaluations of g it took,
        and the Euclidean norm of its residual.
    """
    known = x.isfinite().all(-1)
    z = target = torch.where(known[..., None], x.detach(), 0.0)
    residual, size, matrix = _at(function, z, target, newton)
    done = ~known | (size == 0)
    retry = torch.full_like(done, matrix is None)
    steps = torch.ones_like(known, dtype=torch.long)
    for _ in range(MAXIMUM_STEPS):
        if bool(done.all()):
            break
        step = residual
        if matrix is not None:
            newtons = torch.linalg.solve_ex(matrix, residual)[0]
            step = torch.where(retry[..., None] | ~newtons.isfinite().all(-1, keepdim=True), residual, newtons)
        trial = torch.where(done[..., None], z, z - step)
        new_residual, new_size, new_matrix = _at(function, trial, target, newton)
        steps = steps + (~done).long()
        # No step may leave more than the fixed point would have; where even that does, only rounding is left.
        better = (new_size <= lipschitz * size) & ~done
        done = done | (~better & retry) | (better & (new_size == 0))
        z, residual = (torch.where(better[..., None], *pair) for pair in ((trial, z), (new_residual, residual)))
        size = torch.where(better, new_size, size)
        if matrix is not None and new_matrix is not None:
            matrix, retry = torch.where(better[..., None, None], new_matrix, matrix), ~better & ~done
    rounding = ROUNDINGS * torch.finfo(z.dtype).eps * (1 + z.norm(dim=-1) + target.norm(dim=-1))
    converged = (size <= rounding) | ~known
    return torch.where(known[..., None], z, torch.nan), RootReport(converged, steps, size)


def _at(function: Contraction, z: Tensor, target: Tensor, newton: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """The residual at z, its size, and its Jacobian 1 + J if that is worth its cost."""
    value, jacobian = function(z)
    residual = z + value - target
    return residual, residual.norm(dim=-1), _one_plus(jacobian()) if newton else None


def _one_plus(jacobian: Tensor) -> Tensor:
    return jacobian + torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)

"""Solutions of ordinary differential equations, by torchdiffeq, to a tolerance for each row."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.solvers.solutions import SolverError

# ∂state/∂t from t, a number, and the state, (*batch, S).
Rate = Callable[[Tensor, Tensor], Tensor]

# What an equation is solved to unless something else is asked for.
TOLERANCE, LARGEST_STEP = 1e-5, 0.25
# Below this tolerance a method of order 8 takes fewer evaluations than one of order 5.
TOLERANCE_OF_ORDER_8 = 1e-7
# No tolerance is below this many roundings: no step could be short enough.
ROUNDINGS = 16
FIRST_STEP, MOST_STEPS = 0.05, 10_000


def integrate(
    rate: Rate,
    state: Tensor,
    start: float,
    end: float,
    *,
    tolerance: float = TOLERANCE,
    largest_step: float = LARGEST_STEP,
    steps: int | None = None,
    adjoint: Sequence[Tensor] | None = None,
) -> Tensor:
    """The state at the end of an ordinary differential equation ∂state/∂t = rate(t, state).

    Steps of a Runge-Kutta method of order 5 (or 8, for small tolerances) are as long as the estimated error of each row
    of the state, relative to tolerance · (1 + |state|), allows in every row: rows of one batch share their steps. The
    last step ends at `end`; the rate is never asked beyond it.

    Arguments:
        rate: of the state, differentiable.
        state: (*batch, S), at the start; at least one row, finite.
        start: time.
        end: time, before or after the start.
        tolerance: of the error of each step, default 1e-5; at least 16 roundings of the state's precision.
        largest_step: no step is longer, however loose the tolerance, default 0.25.
        steps: this many equal steps of order 4 in place of adaptive ones; rows are then independent of each other.
        adjoint: tensors that the rate depends on. Gradients then come from the adjoint equation, solved backward from
            the end, in place of those through the steps: they need no memory for each step, are right within the
            tolerance, and have no gradients in turn, which is an error where these are asked for.

    Returns:
        (*batch, S).

    Raises:
        InputError: torchdiffeq is not installed; in a transform of `torch.func`; in a backward pass with
            `create_graph`, gradients of `adjoint`.
        SolverError: no step is short enough, or the state is not finite.

    Cost: 6 evaluations a step (12 of order 8, 4 of equal steps).

    Source: Dormand and Prince 1980, doi:10.1016/0771-050X(80)90013-3; Chen et al. 2018 (adjoint), arXiv:1806.07366.

    Example:
        >>> import pytest; _ = pytest.importorskip("torchdiffeq")
        >>> decayed = integrate(lambda t, state: -state, torch.ones(1, 1, dtype=torch.float64), 0, 1, tolerance=1e-10)
        >>> abs(float(decayed) - 0.36787944117) < 1e-9
        True
    """
    check_installed()
    # Imported here: only these flows need it.
    from torchdiffeq import odeint, odeint_adjoint

    solve: Any
    tolerance = max(tolerance, ROUNDINGS * torch.finfo(state.dtype).eps)
    times = torch.tensor([start, end], dtype=state.dtype, device=state.device)
    there, back = (_options(tolerance, largest_step, steps, target, state) for target in (end, start))
    keywords = {"rtol": tolerance, "atol": tolerance, **there}
    try:
        if adjoint is None:
            solve = odeint(rate, state, times, **keywords)
        else:
            back["options"].pop("norm", None)
            solve = odeint_adjoint(
                rate, state, times, **keywords, adjoint_params=adjoint, adjoint_options=back["options"]
            )
    except AssertionError as error:
        raise SolverError(
            f"The differential equation was not solved from {start:g} to {end:g} ({str(error).splitlines()[0]:.60}): "
            "its field is too steep, or not finite; use float64, raise the tolerance, or put the flow "
            "behind pushforward.gaussianized."
        ) from error
    except RuntimeError as error:
        # torchdiffeq writes in place, and has functions of its own for gradients.
        if "vmap" not in str(error):
            raise
        raise InputError(
            "torch.func does not pass through the solver of a differential equation: use torch.autograd, with all rows "
            "in one batch."
        ) from error
    ended: Tensor = solve[1]
    if adjoint is not None and ended.requires_grad:
        ended.register_hook(_refuse_second_derivatives)
    return ended


def check_installed() -> None:
    """Say what to install where the package that solves these equations is missing.

    Raises:
        InputError: it is.
    """
    try:
        import torchdiffeq  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            "Flows in continuous time need torchdiffeq; pip install 'pushforward[ode]' brings it."
        ) from error


def _refuse_second_derivatives(gradient: Tensor) -> None:
    """Refuse a backward pass that is recorded: the adjoint equation would leave its own part of the record out."""
    if torch.is_grad_enabled():
        raise InputError(
            'Gradients by the adjoint equation have no gradients in turn (create_graph); use gradient="direct", or '
            "integrate without adjoint, for second derivatives."
        )


def _options(tolerance: float, largest_step: float, steps: int | None, target: float, state: Tensor) -> dict[str, Any]:
    """The method, and how it steps toward a time."""
    if steps is not None:
        return {"method": "rk4", "options": {"step_size": 1 / steps}}
    method = "dopri8" if tolerance < TOLERANCE_OF_ORDER_8 else "dopri5"
    ends = torch.tensor([target], dtype=torch.float64, device=state.device)
    stepping: dict[str, Any] = {"step_t": ends, "first_step": min(FIRST_STEP, largest_step), "max_step": largest_step}
    stepping |= {"max_num_steps": MOST_STEPS, "norm": worst_row}
    return {"method": method, "options": stepping}


def worst_row(error: Tensor) -> Tensor:
    """The root mean square of the row of (*batch, S) that has the largest one."""
    return error.square().mean(-1).amax().sqrt()

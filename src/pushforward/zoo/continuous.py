"""Flows in continuous time."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.bijections.continuous import HIDDEN, Continuous
from pushforward.distributions import BASES
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.solvers.ode import TOLERANCE
from pushforward.zoo.options import BaseName, Context, Features, Hidden
from pushforward.zoo.registry import architecture

# Up to so many features, the divergence of four small layers takes no longer than that of two wide ones.
FEW_FEATURES, DEEP = 4, (64, 64, 64, 64)


@architecture
def continuous(
    features: Features,
    context: Context = 0,
    hidden: Hidden | None = None,
    activation: Literal["silu", "tanh"] = "silu",
    tolerance: Annotated[float, Field(gt=0, lt=1)] = TOLERANCE,
    steps: Annotated[int, Field(ge=1)] | None = None,
    gradient: Literal["direct", "adjoint"] = "direct",
    base: BaseName = "normal",
) -> Flow:
    """Continuous flow: each point moves with the velocity that one network gives it, from latent to data.

    ∂x/∂t = v(x, t; context), x(0) = z, x(1) = x, log p(x) = log p(z) - ∫ tr(∂v/∂x) dt.

    It needs torchdiffeq (`pip install 'pushforward[ode]'`). `pushforward.fit(objective="flow_matching")` trains it
    without solving the equation. `pushforward.log_prob_with_error` gives log-densities with their errors.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        hidden: widths of the hidden layers of v, default (64, 64, 64, 64) up to 4 features, (128, 128) beyond. Two
            hidden layers have an exact divergence at the cost of one pass; more of them learn finer structure, and take
            D passes for it, or beyond 100 features have an estimated one.
        activation: "silu" (default) or "tanh".
        tolerance: of the error of each step of the solver, relative to 1 + |x|, below 1, default 1e-5.
        steps: this many equal steps in place of adaptive ones, which leaves `tolerance` out; default None.
        gradient: "direct" (default) or "adjoint": how likelihoods are differentiated.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture". Flow matching does not take "uniform".

    Raises:
        InputError: both a tolerance and steps, besides options that cannot be.

    Cost: log_prob and sample the steps of the solver, at 6 passes each.

    Source: Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367.

    Example:
        >>> import pytest, torch; _ = pytest.importorskip("torchdiffeq")
        >>> flow = continuous(features=2, hidden=(16, 16))
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    if steps is not None and tolerance != TOLERANCE:
        raise InputError("continuous takes a tolerance of adaptive steps or a number of equal steps, not both.")
    if hidden is None:
        hidden = DEEP if features <= FEW_FEATURES else HIDDEN
    return Flow(Continuous(features, context, hidden, activation, tolerance, steps, gradient), BASES[base](features))

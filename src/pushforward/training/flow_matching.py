"""Flow matching: fit the velocity of a continuous flow to straight paths from latent points to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.networks.time_features import from_logarithmic
from pushforward.solvers.ode import check_installed
from pushforward.training.likelihood import HeldOut
from pushforward.training.objectives import MaximumLikelihood

if TYPE_CHECKING:
    from pushforward.flow import Density
    from pushforward.training.rows import Rows

OBJECTIVES = ("likelihood", "flow_matching", "optimal_transport")
# Held-out log-densities take an equation to solve: those of so many rows choose the best weights.
HELD_OUT_ROWS = 1024
# What the equation of a row takes, about, in passes of the network.
PASSES_OF_A_DENSITY = 100


@runtime_checkable
class VelocityField(Protocol):
    """A map that moves points with a velocity from time 0, latent, to 1."""

    def velocity(self, x: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
        """v, (*batch, D), of x, (*batch, D), at times, (*batch), given contexts, (*batch, C)."""
        ...


@runtime_checkable
class BehindMaps(Protocol):
    """A density of rows whose flow is given what maps of their columns make of them."""

    flow: Flow

    def noised_points(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Points, (*batch, D), of rows x, (*batch, D), with new noise where there is any, and the flow's context."""
        ...


class FlowMatching(nn.Module):
    """|v((1 - t) z + t x, t; context) - (x - z)|² / D of each row, with z from the base, t of density ∝ 1 / (1.05 - t).

    The minimum over all fields v is the mean velocity of the paths through each point, which moves the base to the
    density of the rows, whatever the times. Most times are near the data: there, the field changes within the time that
    is left, and its errors count in units of what is left of the path. No equation is solved. Rows x are those that the
    continuous map itself is given: what maps of columns make of them, in standardized units if the flow standardizes
    them.

    Arguments:
        density: A flow whose map moves points with a velocity, in standardized units or not, or such a flow behind maps
            of columns; `.density` afterwards.
        optimal_transport: Whether latent points are paired with the rows of a batch such that the sum of their squared
            distances is least. Paths then cross less, and solutions take fewer steps.

    Raises:
        InputError: The flow is none in continuous time.

    Cost: A step takes one pass of the network and its backward pass; pairing the rows of a batch takes more than that
        for some hundred rows.

    Source: Lipman et al. 2022, arXiv:2210.02747; pairing: Tong et al. 2023, arXiv:2302.00482, Pooladian et al. 2023,
    arXiv:2304.14772.
    """

    def __init__(self, density: Flow | BehindMaps, optimal_transport: bool = False) -> None:
        super().__init__()
        self.density = density
        self.optimal_transport = optimal_transport

    def forward(self, x: Tensor, context: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Return the loss of each row, (batch,), times its weight."""
        flow = self.density
        if isinstance(flow, BehindMaps):
            x, context = flow.noised_points(x, context)
            flow = flow.flow
        field = flow.bijection.inner
        assert isinstance(field, VelocityField)
        x, context = flow.bijection.to_inner(x, context)
        with torch.no_grad():
            z = flow.base.sample(tuple(x.shape[:-1])).to(x)
            if self.optimal_transport:
                z = z[paired(z, x)]
            time = from_logarithmic(torch.rand_like(x[..., 0]))
        velocity = field.velocity(torch.lerp(z, x, time[..., None]), time, context)
        losses = (velocity - (x - z)).square().mean(-1)
        return losses if weights is None else losses * weights


def paired(z: Tensor, x: Tensor) -> Tensor:
    """The numbers of points z, (n, D), one for each row of x, (n, D), with the least sum of squared distances.

    Example:
        >>> paired(torch.tensor([[0.0], [5.0]]), torch.tensor([[6.0], [1.0]]))
        tensor([1, 0])
    """
    # Imported here: it brings scipy, which other objectives do without.
    from scipy.optimize import linear_sum_assignment

    # |x - z|² without |x|² and |z|², which are the same for every pairing.
    cost = -(x @ z.t())
    return torch.as_tensor(linear_sum_assignment(cost.cpu().double().numpy())[1], device=z.device)


def objective_for(name: str, flow: Density, rows: Rows) -> nn.Module:
    """The objective of a fit by its name, for these rows.

    Raises:
        InputError: An unknown objective, or one that does not fit the flow or the rows.
    """
    check_objective(name, flow)
    if name == "likelihood":
        return MaximumLikelihood(flow)
    if name == "optimal_transport" and (rows.context is not None or rows.weights is not None):
        raise InputError(
            "objective='optimal_transport' takes neither a context nor weights: pairing rows of different contexts "
            "gives each the latent points near it, not those of the base; use objective='flow_matching'."
        )
    return FlowMatching(flow, name == "optimal_transport")  # type: ignore[arg-type]


def check_objective(name: str, flow: Density) -> None:
    """Refuse an objective that is unknown, or needs another flow or base."""
    if name not in OBJECTIVES:
        raise InputError(f"objective must be one of {', '.join(OBJECTIVES)}; it is {name!r}.")
    flow = flow.flow if isinstance(flow, BehindMaps) else flow
    if name != "likelihood" and not (isinstance(flow, Flow) and isinstance(flow.bijection.inner, VelocityField)):
        raise InputError(
            f"objective={name!r} trains flows in continuous time, such as pushforward.continuous(features=2), in "
            "standardized units or not; this one is none."
        )
    if name != "likelihood" and isinstance(flow, Flow) and flow.base.bounded:
        raise InputError(
            f'objective={name!r} needs a base with a density everywhere, such as base="normal": a learned velocity '
            f"takes some rows out of the support of {type(flow.base).__name__}, where they would have none."
        )
    if name != "likelihood":
        # Its held-out rows take the solver.
        check_installed()


def held_out_for(objective: nn.Module, flow: Density, rows: Rows, device: torch.device) -> HeldOut:
    """The mean log-likelihood of held-out rows: of all of them, or of some where each takes an equation to solve."""
    if isinstance(objective, FlowMatching):
        step = -(-len(rows) // HELD_OUT_ROWS)
        return HeldOut(MaximumLikelihood(flow), rows.with_rows(rows.rows[::step]), device)
    return HeldOut(objective, rows, device)


def cost_of_held_out(objective: str, rows: int) -> int:
    """What an evaluation of so many held-out rows takes, in rows of one pass each."""
    return rows if objective == "likelihood" else min(rows, HELD_OUT_ROWS) * PASSES_OF_A_DENSITY

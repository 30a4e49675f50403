"""What searches for a solution have in common: how they went, the error of those that failed, and gradients."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from pushforward.kernels.eligibility import derivatives_wanted


class SolverError(ArithmeticError):
    """A numerical inverse did not converge; the message names the first row at fault."""


class RootReport(NamedTuple):
    """How the search went, entry by entry.

    Attributes:
        converged: whether the root is found to the last floats.
        steps: how many evaluations it took.
        residual: the function's value at the root.
    """

    converged: Tensor
    steps: Tensor
    residual: Tensor

    def check(self, failed: str, rest: Callable[[tuple[int, ...]], str]) -> None:
        """Raise a SolverError that names the first entry that did not converge, if there is one.

        Arguments:
            failed: what became of so many of all entries, up to the first one's place.
            rest: the end of the sentence, after the steps, given that place.
        """
        if bool(self.converged.all()):
            return
        bad = (~self.converged).nonzero()
        first = tuple(bad[0].tolist())
        raise SolverError(
            f"{len(bad)} of {self.converged.numel()} {failed} row {list(first)}: residual "
            f"{float(self.residual[first]):.3g} after {int(self.steps[first])} steps{rest(first)}"
        )


def with_gradients(
    root: Tensor,
    function: Callable[[Tensor], tuple[Tensor, Any]],
    divide: Callable[[Any], Callable[[Tensor], Tensor]],
) -> Tensor:
    """A root with its first and second derivatives, where derivatives are wanted.

    The root a depends on everything that `function` closes over, by the implicit function theorem
    ∂a = -slope⁻¹ ∂function: two Newton steps from the root, which autograd records, have exact first and second
    derivatives. No list of parameters is needed.

    Arguments:
        root: a, at which the value is 0 up to rounding.
        function: gives value and slope at a.
        divide: gives what divides a value by a slope, without gradients of the slope.

    Cost: two evaluations of the function, and one division.

    Example:
        >>> import torch
        >>> square = torch.tensor(9.0, requires_grad=True)
        >>> root = with_gradients(
        ...     torch.tensor(3.0), lambda a: (a**2 - square, 2 * a), lambda slope: lambda value: value / slope.detach()
        ... )
        >>> torch.autograd.grad(root, square)[0]  # 1 / (2 a)
        tensor(0.1667)
    """
    if not derivatives_wanted():
        return root
    step = root = root.detach()  # forward-mode derivatives went through the search too
    value, slope = function(step)
    # One slope serves both steps: what it lacks is of third order.
    divided = divide(slope)
    step = step - divided(value)
    step = step - divided(function(step)[0])
    # The value stays that of the search: a step at the root is only rounding.
    return root + (step - step.detach())

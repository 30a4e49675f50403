"""The order of features in which a Jacobian is triangular, from what depends on what.

A map x = f(z) is triangular in an order of its features if each x[d] depends on z[d] and on features of z that come
before d in that order, and on no others. Then log|det ∂x/∂z| = Σ_d log|∂x[d]/∂z[d]|, a term for each feature, and x[d]
is a function of z[d] alone once the features before it are given. Its inverse is triangular in the same order, and so
is a sequence of maps that share one.
"""

import torch
from torch import Tensor


def closure(*dependencies: Tensor) -> Tensor:
    """What depends on what through any number of steps, each by any of the given dependencies.

    Arguments:
        dependencies: (D, D) boolean matrices, True at [i, j] where i depends on j.

    Returns:
        (D, D), the reflexive and transitive closure of their union.

    Example:
        >>> chain = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0]]).bool()
        >>> closure(chain).int().tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    reached = torch.stack(dependencies).any(0) | torch.eye(len(dependencies[0]), dtype=torch.bool)
    while True:
        further = reached.float() @ reached.float() > 0
        if torch.equal(further, reached):
            return reached
        reached = further


def triangular_order(dependencies: Tensor) -> list[int] | None:
    """The order in which a matrix of dependencies is lower triangular; None if two features depend on each other.

    Where several orders would do, features that depend on fewer others come first, and then those of lower index.

    Arguments:
        dependencies: (D, D) boolean, True at [i, j] where i depends on j.

    Example:
        >>> triangular_order(torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 1]]).bool())
        [1, 2, 0]
    """
    reached = closure(dependencies)
    if int((reached & reached.t()).sum()) > len(reached):
        return None
    # If i depends on j, it depends on all that j depends on, and on itself: it has more dependencies than j.
    return reached.sum(1).argsort(stable=True).tolist()

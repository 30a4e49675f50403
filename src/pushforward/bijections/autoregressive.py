"""Autoregressive layers: each feature's map depends on the features before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections import conditioned
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.ordering import closure
from pushforward.bijections.univariate.base import Univariate
from pushforward.bijections.univariate.parametrized import Parametrized
from pushforward.networks.conditioner import Conditioner
from pushforward.networks.made import MADE


class Autoregressive(Bijection):
    """x[d] = univariate(z[d]; conditioner(x[before d], context)), one feature after the other in `order`.

    The Jacobian is triangular, log_det is the sum of the univariate map's log-derivatives. From x to z all conditions
    are known and one pass serves every feature; from z to x each feature waits for those before it.

    With an adjacency, "before d" stands for the features that d may depend on: a Bayesian network that the user
    chooses. The Jacobian ∂z/∂x is then 0 wherever the adjacency is False.

    Arguments:
        features: D.
        univariate: the family of maps: `Affine` makes MAF.
        conditioner: hidden layers, activation, residual pairs and dropout of the masked network. From z to x there is
            no dropout, so the two directions undo each other in evaluation mode alone.
        context: C, number of context features, default 0.
        order: (D,) the features from first to last, default 0 .. D-1.
        adjacency: (D, D), adjacency[i][j] True where feature i may depend on feature j, without cycles; in place of an
            order. The diagonal does not count.

    Raises:
        ValueError: order is not a permutation, adjacency is not (D, D) or has a cycle, or both are given.

    Cost: forward D steps, which are together the arithmetic of 1 pass; inverse 1 pass. `Inverse(...)` of it swaps them
    (the inverse autoregressive flow).

    Source: Papamakarios, Pavlakou and Murray 2017, MAF, arXiv:1705.07057; Kingma et al. 2016, IAF, arXiv:1606.04934.

    Example:
        >>> import torch
        >>> from pushforward.bijections import Affine
        >>> from pushforward.networks import Conditioner
        >>> layer = Autoregressive(3, Affine(), Conditioner(hidden=(16,)))
        >>> x, log_det = layer(torch.zeros(5, 3))
        >>> torch.allclose(layer.inverse(x)[0], torch.zeros(5, 3), atol=1e-5)
        True
    """

    def __init__(
        self,
        features: int,
        univariate: Univariate,
        conditioner: Conditioner = Conditioner(),
        context: int = 0,
        order: Sequence[int] | None = None,
        adjacency: Tensor | Sequence[Sequence[bool]] | None = None,
    ):
        super().__init__()
        self.features = features
        self.context_features = context
        self.univariate = univariate
        self.conditioner = MADE(features, univariate.parameter_count, conditioner, context, order, adjacency)

    @property
    def trains_compiled(self) -> bool:
        """Whether the kernels know the network and the family, and are for its weights."""
        return conditioned.trains_compiled(self.univariate, self.conditioner)

    @property
    def cost(self) -> Cost:
        """D steps from z to x, 1 pass from x to z, or as many of what the univariate map needs."""
        one = self.univariate.cost
        return Cost("D steps" if one.forward == "1 pass" else f"D × {one.forward}", one.inverse)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Feature by feature, each hidden unit computed once."""
        self.check_event(z)
        return conditioned.solve(self.univariate, self.conditioner, z, context)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """All features at once."""
        self.check_event(x)
        return conditioned.inverse(self.univariate, self.conditioner, x, x, context)

    def dependencies(self) -> Tensor:
        """Each feature depends on itself and on those before it, or on its ancestors in the adjacency."""
        if self.conditioner.adjacency is not None:
            return closure(self.conditioner.adjacency.cpu())
        place = torch.tensor(self.conditioner.order).argsort()
        return place[:, None] >= place

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term for each feature."""
        self.check_event(x)
        return self.univariate.inverse(x, self.conditioner(x, context))

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `forward`, with the map of each feature given those before it in x."""
        x, _ = self(z, context)
        return x, [Parametrized(self.univariate, self.conditioner(x, context))]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `inverse`, with the map of each feature given those before it in x."""
        self.check_event(x)
        one = Parametrized(self.univariate, self.conditioner(x, context))
        return one.each_inverse(x.expand(*one.parameters.shape[:-1]))[0], [one]

"""Autoregressive layers: each feature's map depends on the features before it."""

from collections.abc import Sequence

from torch import Tensor

from pushforward.bijections import conditioned
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.univariate.base import Univariate
from pushforward.networks.made import MADE


class Autoregressive(Bijection):
    """x[d] = univariate(z[d]; conditioner(x[before d], context)), one feature after the other in `order`.

    The Jacobian is triangular, log_det is the sum of the univariate map's log-derivatives. From x to z all conditions
    are known and one pass serves every feature; from z to x each feature waits for those before it.

    Arguments:
        features: D.
        univariate: the family of maps: `Affine` makes MAF.
        hidden: widths of the MADE conditioner's hidden layers, default (128, 128).
        context: C, number of context features, default 0.
        order: (D,) the features from first to last, default 0 .. D-1.
        activation: of the conditioner, default "relu".
        residual: whether the conditioner's hidden layers come in residual pairs, default False.
        dropout: of the conditioner's hidden activations in training mode and from x to z, default 0. From z to x there
            is none, so the two undo each other in evaluation mode alone.

    Raises:
        ValueError: residual without an odd number of hidden layers of one width, or dropout not in
            [0, 1).

    Cost: forward D steps, which are together the arithmetic of 1 pass; inverse 1 pass. `Inverse(...)` of it swaps them
    (the inverse autoregressive flow).

    Source: Papamakarios, Pavlakou and Murray 2017, MAF, arXiv:1705.07057; Kingma et al. 2016, IAF, arXiv:1606.04934.

    Example:
        >>> import torch
        >>> from pushforward.bijections import Affine
        >>> layer = Autoregressive(3, Affine(), hidden=(16,))
        >>> x, log_det = layer(torch.zeros(5, 3))
        >>> torch.allclose(layer.inverse(x)[0], torch.zeros(5, 3), atol=1e-5)
        True
    """

    def __init__(
        self,
        features: int,
        univariate: Univariate,
        hidden: Sequence[int] = (128, 128),
        context: int = 0,
        order: Sequence[int] | None = None,
        activation: str = "relu",
        residual: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.features = features
        self.context_features = context
        self.univariate = univariate
        self.order = list(range(features)) if order is None else [int(feature) for feature in order]
        self.conditioner = MADE(
            features, univariate.parameter_count, hidden, context, self.order, activation, residual, dropout
        )

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

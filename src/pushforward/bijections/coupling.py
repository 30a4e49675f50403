"""Coupling layers: one part of the features sets the parameters of the map of the other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections import conditioned
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.univariate.base import Univariate
from pushforward.networks.mlp import MLP


class Coupling(Bijection):
    """x[fixed] = z[fixed], x[moved] = univariate(z[moved]; conditioner(z[fixed], context)).

    log_det is the sum of the univariate map's log-derivatives. The conditioner is never inverted: it takes one
    pass in both directions.

    Arguments:
        moved: (D,) True for the features that move, False for those that are kept and conditioned on. When all move,
            their parameters depend on the context alone.
        univariate: the family of maps: `Additive` makes NICE, `Affine` makes RealNVP.
        hidden: widths of the conditioner's hidden layers, default (128, 128).
        context: C, number of context features, default 0.
        activation: of the conditioner, default "relu".
        residual: whether the conditioner's hidden layers come in residual pairs, default False.
        dropout: of the conditioner's hidden activations in training mode, default 0. The map is then drawn anew at each
            call, and inverse undoes forward in evaluation mode alone.

    Raises:
        ValueError: no feature moves, residual without an odd number of hidden layers of one width, or dropout not in
            [0, 1).

    Cost: that of the univariate map, 1 pass in both directions for all but `LogisticMixture`.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516; Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> from pushforward.bijections import Affine
        >>> layer = Coupling([False, True], Affine(), hidden=(8,))
        >>> z = torch.randn(5, 2)
        >>> x, log_det = layer(z)
        >>> bool((x[:, 0] == z[:, 0]).all()), log_det.shape
        (True, torch.Size([5]))
    """

    fixed: Tensor
    moved: Tensor
    arrange: Tensor

    def __init__(
        self,
        moved: Tensor | Sequence[bool],
        univariate: Univariate,
        hidden: Sequence[int] = (128, 128),
        context: int = 0,
        activation: str = "relu",
        residual: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        moved = torch.as_tensor(moved, dtype=torch.bool)
        if not bool(moved.any()):
            raise ValueError("A coupling layer must move at least one feature.")
        self.features = moved.numel()
        self.context_features = context
        self.univariate = univariate
        for name, index in (("fixed", (~moved).nonzero()[:, 0]), ("moved", moved.nonzero()[:, 0])):
            self.register_buffer(name, index, persistent=False)
        self.register_buffer("arrange", torch.cat([self.fixed, self.moved]).argsort(), persistent=False)
        self.conditioner = MLP(
            len(self.fixed), len(self.moved), univariate.parameter_count, hidden, context, activation, residual, dropout
        )

    @property
    def cost(self) -> Cost:
        """That of the univariate map."""
        return self.univariate.cost

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform z[transformed] given z[identity]."""
        identity, transformed = self._split(z)
        x, log_det = conditioned.forward(self.univariate, self.conditioner, transformed, identity, context)
        return self._join(identity, x), log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform x[transformed] back given x[identity]."""
        identity, transformed = self._split(x)
        z, log_det = conditioned.inverse(self.univariate, self.conditioner, transformed, identity, context)
        return self._join(identity, z), log_det

    def _split(self, value: Tensor) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        return value.index_select(-1, self.fixed), value.index_select(-1, self.moved)

    def _join(self, identity: Tensor, transformed: Tensor) -> Tensor:
        identity = identity.expand(*transformed.shape[:-1], -1)
        return torch.cat([identity, transformed], -1).index_select(-1, self.arrange)

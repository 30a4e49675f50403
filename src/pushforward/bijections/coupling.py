"""Coupling layers: one part of the features sets the parameters of the map of the other."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.bijections import conditioned
from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.univariate.base import Univariate
from pushforward.bijections.univariate.parametrized import Parametrized
from pushforward.networks.conditioner import Conditioner
from pushforward.networks.mlp import MLP, batch_of


class Coupling(Bijection):
    """x[identity] = z[identity], x[transformed] = univariate(z[transformed]; conditioner(z[identity], context)).

    log_det is the sum of the univariate map's log-derivatives. The conditioner is never inverted: it takes one
    pass in both directions.

    Arguments:
        transformed: (D,) True for the features that are transformed, False for those that are kept and conditioned on.
            When all are transformed, their parameters depend on the context alone.
        univariate: the family of maps: `Additive` makes NICE, `Affine` makes RealNVP.
        conditioner: hidden layers, activation, residual pairs and dropout of the network. With dropout the map is
            random in training mode: inverse undoes forward in evaluation mode alone.
        context: C, number of context features, default 0.

    Raises:
        ValueError: no feature is transformed.

    Cost: that of the univariate map, 1 pass in both directions unless that one is a scalar root.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516; Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> from pushforward.bijections import Affine
        >>> from pushforward.networks import Conditioner
        >>> layer = Coupling([False, True], Affine(), Conditioner(hidden=(8,)))
        >>> z = torch.randn(5, 2)
        >>> x, log_det = layer(z)
        >>> bool((x[:, 0] == z[:, 0]).all()), log_det.shape
        (True, torch.Size([5]))
    """

    identity: Tensor
    transformed: Tensor
    arrange: Tensor

    def __init__(
        self,
        transformed: Tensor | Sequence[bool],
        univariate: Univariate,
        conditioner: Conditioner = Conditioner(),
        context: int = 0,
    ):
        super().__init__()
        transformed = torch.as_tensor(transformed, dtype=torch.bool)
        if not bool(transformed.any()):
            raise ValueError("A coupling layer must transform at least one feature.")
        self.features = transformed.numel()
        self.context_features = context
        self.univariate = univariate
        for name, part in (("identity", ~transformed), ("transformed", transformed)):
            self.register_buffer(name, part.nonzero()[:, 0], persistent=False)
        self.register_buffer("arrange", torch.cat([self.identity, self.transformed]).argsort(), persistent=False)
        inputs, outputs = len(self.identity), len(self.transformed)
        self.conditioner = MLP(inputs, outputs, univariate.parameter_count, conditioner, context)

    @property
    def trains_compiled(self) -> bool:
        """Whether the kernels know the network and the family, and are for its weights."""
        return conditioned.trains_compiled(self.univariate, self.conditioner)

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

    def dependencies(self) -> Tensor:
        """Every feature depends on itself, and those transformed on those kept."""
        matrix = torch.eye(self.features, dtype=torch.bool)
        matrix[self.transformed.cpu()[:, None], self.identity.cpu()] = True
        return matrix

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term for each feature, 0 for those kept."""
        return self._conditional_map(x, context).each_inverse(self._expanded(x, context))

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `forward`, with the map that z[identity] gives."""
        one = self._conditional_map(z, context)
        return one.each_forward(self._expanded(z, context))[0], [one]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `inverse`, with the map that x[identity] gives."""
        one = self._conditional_map(x, context)
        return one.each_inverse(self._expanded(x, context))[0], [one]

    def _conditional_map(self, value: Tensor, context: Tensor | None) -> "_MapOfSome":
        self.check_event(value)
        parameters = self.conditioner(value.index_select(-1, self.identity), context)
        return _MapOfSome(self.transformed, Parametrized(self.univariate, parameters))

    def _expanded(self, value: Tensor, context: Tensor | None) -> Tensor:
        return value.expand(*batch_of(value, context, self.context_features), self.features)

    def _split(self, value: Tensor) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        return value.index_select(-1, self.identity), value.index_select(-1, self.transformed)

    def _join(self, identity: Tensor, transformed: Tensor) -> Tensor:
        identity = identity.expand(*transformed.shape[:-1], -1)
        return torch.cat([identity, transformed], -1).index_select(-1, self.arrange)


class _MapOfSome(NamedTuple):
    """A map of some features that leaves the others as they are.

    Attributes:
        features: those that are mapped, (M,).
        map: their map.
    """

    features: Tensor
    map: ConditionalMap

    @property
    def affine(self) -> bool:
        return self.map.affine

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._among_all(z, *self.map.each_forward(z.index_select(-1, self.features)))

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._among_all(x, *self.map.each_inverse(x.index_select(-1, self.features)))

    def _among_all(self, value: Tensor, mapped: Tensor, log_derivative: Tensor) -> tuple[Tensor, Tensor]:
        value = value.to(mapped.dtype)
        terms = torch.zeros_like(value).index_copy(-1, self.features, log_derivative)
        return value.index_copy(-1, self.features, mapped), terms

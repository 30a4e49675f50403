"""A map in standardized units for clusters far apart: each has a share of the latent space, and splines of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from pushforward.bijections.base import Bijection
from pushforward.bijections.cluster_marginals import ClusterMarginals
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.context_range import ContextRange
from pushforward.bijections.elementwise import ElementwiseAffine
from pushforward.bijections.latent_shares import divide, join
from pushforward.bijections.standardized import Standardized
from pushforward.networks import Conditioner
from pushforward.networks.mlp import MLP

HIDDEN = (32,)


class Clustered(Standardized):
    """x = marginals(f(z′; context, k), k), where z[0] stands for the label k of a cluster and for z′[0].

    The line of z[0] is divided into K intervals, one for each cluster, with the probability that it has under a
    standard normal distribution. Within its interval z[0] is mapped to a number z′[0] that is standard normal as well,
    and all other z′[d] are z[d]. `marginals` takes y = f(z′) into the box of cluster k, and the boxes divide the space:
    every x belongs to one z, no draw lies outside the box of its cluster, and log-densities are exact. f sees the label
    where it takes K - 1 features of context more than there are in the context: 1 for its own cluster, else 0.

    Without a context the shares of the clusters are constant; with one they are a function of it, a small network.

    The label is a function of several features of x, so that there is no order of the features.

    Arguments:
        bijection: f, the map in standardized units.
        data: the map into the box of each cluster.
        context: shift and scale of the context, or None when there is none.
        context_range: the range of standardized contexts in training, beyond which f sees its end; default none.

    Attributes:
        log_shares: (K,), the logarithms of the clusters' shares, which the network multiplies by factors.
        network: of the factors; None without a context.

    Cost: that of f.

    Source: Dinh, Sohl-Dickstein, Larochelle and Pascanu 2019, A RAD approach to deep mixture models, arXiv:1903.07714,
    for maps that are invertible part by part.

    Example:
        >>> from pushforward.bijections import Permutation
        >>> layer = Clustered(Permutation([0, 1]), ClusterMarginals(2, clusters=2))
        >>> layer(torch.tensor([[-1.0, 0.5], [1.0, 0.5]]))[0]
        tensor([[-0.4752,  0.5000],
                [ 1.3961,  0.5000]])
    """

    data: ClusterMarginals  # type: ignore[assignment]
    log_shares: Tensor

    def __init__(
        self,
        bijection: Bijection,
        data: ClusterMarginals,
        context: ElementwiseAffine | None = None,
        context_range: ContextRange | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.features = bijection.features
        self.context_features = 0 if context is None else context.features
        self.bijection, self.data = bijection, data
        self.context, self.context_range = context, context_range
        self.features_of_context = self.context_trend = None
        self.register_buffer("log_shares", torch.full((data.clusters,), 1 / data.clusters, dtype=torch.float64).log())
        self.network = None
        if self.context_features:
            self.network = MLP(0, 1, data.clusters, Conditioner(HIDDEN, "tanh"), self.context_features)
            # The shares start as the same for every context.
            for parameter in self.network.layers[-1].parameters():
                nn.init.zeros_(parameter)

    @property
    def sees_labels(self) -> bool:
        """Whether f is given the labels."""
        return self.bijection.context_features > self.context_features

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the cluster, map by f, then into the box of the cluster."""
        self.check_event(z)
        known = self.standardized_context(context, z.dtype)
        label, first, shares = divide(z[..., 0], self._shares(known))
        y, log_det = self.bijection(self._with_first(z, first), self._with_labels(known, label))
        x, constant = self.data(y, label)
        return x, log_det + shares + constant.to(log_det.dtype)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardize, map by the inverse of f, then into the interval of the cluster."""
        self.check_event(x)
        y, context_and_label, constant = self.standardize(x, context)
        z, log_det = self.bijection.inverse(y, context_and_label)
        known = self.standardized_context(context, z.dtype)
        first, shares = join(self.data.labels(x), z[..., 0], self._shares(known))
        return self._with_first(z, first), log_det + shares + constant.to(log_det.dtype)

    def standardize(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """x as f's inverse is given it, and the context with the labels."""
        y, constant = self.data.inverse(x)
        dtype = self.inner_dtype(y.dtype)
        known = self._with_labels(self.standardized_context(context, dtype), self.data.labels(x))
        return y.to(dtype), None if known is None else known.to(dtype), constant

    def stages(self, z: Tensor, context: Tensor | None = None) -> Iterator[Tensor]:
        """z′, the stages of f, in standardized units, and then x."""
        known = self.standardized_context(context, z.dtype)
        label, first, _ = divide(z[..., 0], self._shares(known))
        y = self._with_first(z, first)
        yield y
        for stage in self.bijection.stages(y, self._with_labels(known, label)):
            yield stage
        yield self.data(stage, label)[0]

    def dependencies(self) -> Tensor:
        """Everything depends on everything, by the labels."""
        return Bijection.dependencies(self)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Refused: there is no order of the features."""
        return Bijection.each_inverse(self, x, context)

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Refused: there is no order of the features."""
        return Bijection.forward_with_maps(self, z, context)

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Refused: there is no order of the features."""
        return Bijection.inverse_with_maps(self, x, context)

    def _shares(self, known: Tensor | None) -> Tensor:
        """The log-shares of the clusters given a standardized context, (*batch, K) or (K,), float64."""
        logits = self.log_shares.double()
        if self.network is not None and known is not None:
            logits = logits + self.network(known.new_zeros(*known.shape[:-1], 0), known)[..., 0, :].double()
        return logits.log_softmax(-1)

    def _with_labels(self, known: Tensor | None, label: Tensor) -> Tensor | None:
        """The context that f is given."""
        if not self.sees_labels:
            return known
        own = one_hot(label, self.data.clusters)[..., 1:]
        if known is None:
            return own.to(self.inner_dtype(torch.get_default_dtype()))
        return torch.cat([known.expand(*label.shape, known.shape[-1]), own.to(known.dtype)], -1)

    def _with_first(self, z: Tensor, first: Tensor) -> Tensor:
        return torch.cat([first[..., None], z[..., 1:]], -1)

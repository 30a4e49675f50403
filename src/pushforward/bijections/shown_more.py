"""A conditional map that is shown a function of its context beside the context."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.kernels.eligibility import is_untransformed


class ShownMore(Bijection):
    """x = f(z; (context, more_1(context), more_2(context), ...)).

    Arguments:
        bijection: f, given C + M features of context.
        more: functions of a context, (*batch, C), each of which gives one feature more, (*batch, 1); they are used, not
            copied.

    Cost: that of f, and more of each context.
    """

    def __init__(self, bijection: Bijection, more: nn.ModuleList) -> None:
        super().__init__()
        self.features, self.context_features = bijection.features, bijection.context_features - len(more)
        self.bijection, self.more = bijection, more

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map latent to data by f."""
        found: tuple[Tensor, Tensor] = self.bijection(z, with_more(self.more, context))
        return found

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent by f."""
        return self.bijection.inverse(x, with_more(self.more, context))

    def stages(self, z: Tensor, context: Tensor | None = None) -> Iterator[Tensor]:
        """Those of f."""
        return self.bijection.stages(z, with_more(self.more, context))

    def dependencies(self) -> Tensor:
        """Those of f."""
        return self.bijection.dependencies()

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term for each feature."""
        return self.bijection.each_inverse(x, with_more(self.more, context))

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `forward`, with the maps of f."""
        return self.bijection.forward_with_maps(z, with_more(self.more, context))

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `inverse`, with the maps of f."""
        return self.bijection.inverse_with_maps(x, with_more(self.more, context))

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training."""
        # What is shown more does not matter here, and takes time.
        whole = torch.nn.functional.pad(context, (0, len(self.more)))
        return self.bijection.beyond_range(whole)[..., : self.context_features]

    @property
    def cost(self) -> Cost:
        """The cost of f."""
        return self.bijection.cost


def with_more(more: Iterable[nn.Module], context: Tensor | None) -> Tensor | None:
    """A context, (*batch, C), followed by what functions give of it, (*batch, C + M)."""
    if context is None:
        return None
    rows, place = context.reshape(-1, context.shape[-1]), None
    if len(rows) and is_untransformed():
        # A row that is asked about several times is looked at once.
        rows, place = torch.unique_consecutive(rows, dim=0, return_inverse=True)
    found = [one(rows) if place is None else one(rows)[place] for one in more]
    return torch.cat([context, *(one.reshape(*context.shape[:-1], 1) for one in found)], -1)

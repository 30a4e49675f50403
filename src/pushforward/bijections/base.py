"""The contract of every map.

`z` is latent, `x` is data. `forward` is z → x, the generative direction of x = f(z); `inverse` is x → z. Both return
the value and `log_det`, the log|det| of the Jacobian **of the map just applied**, so the two log_dets of one point
are negatives of each other.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.ordering import triangular_order
from pushforward.errors import InputError


class Cost(NamedTuple):
    """What each direction of a bijection costs, in words: "1 pass", "D steps", "scalar root"."""

    forward: str = "1 pass"
    inverse: str = "1 pass"


class Bijection(nn.Module):
    """An invertible, differentiable map x = f(z) of vectors, with its log_det in both directions.

    A map of your own defines `forward` and `inverse`, and sets `features` (and `context_features` when it is
    conditional). The event is the last dimension; every dimension before it is batch.

    A map whose Jacobian is triangular in some order of the features also defines `dependencies`, `each_inverse`,
    `forward_with_maps` and `inverse_with_maps`. By default everything may depend on everything, so that a map has an
    order only if it has one feature. A map of every feature by itself is an `Elementwise`.

    Attributes:
        features: D, the length of an event.
        context_features: C, the length of a context, 0 when the map is unconditional.
        cost: what each direction costs.
        estimates: whether log_det is a random estimate, default False.
        approximates: whether values and log_det solve an equation to a tolerance only, which `refine` lowers, default
            False.

    Example:
        >>> import torch
        >>> class Doubling(Bijection):
        ...     features = 2
        ...     def forward(self, z, context=None):
        ...         return 2 * z, z.new_full(z.shape[:-1], 2 * 0.6931472)
        ...     def inverse(self, x, context=None):
        ...         return x / 2, x.new_full(x.shape[:-1], -2 * 0.6931472)
        >>> Doubling().inverse(torch.ones(3, 2))[0]
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [0.5000, 0.5000]])
    """

    features: int
    context_features: int = 0
    estimates: bool = False
    approximates: bool = False

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map latent to data.

        Arguments:
            z: latent, (*batch, D).
            context: (*batch, C), broadcast against the batch of z; maps that do not use it ignore it.

        Returns:
            x, (*batch, D), and log|det ∂x/∂z|, (*batch).
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward (z → x).")

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Arguments:
            x: data, (*batch, D).
            context: (*batch, C), broadcast against the batch of x; maps that do not use it ignore it.

        Returns:
            z, (*batch, D), and log|det ∂z/∂x|, (*batch).
        """
        raise NotImplementedError(f"{type(self).__name__} has no inverse (x → z).")

    def stages(self, z: Tensor, context: Tensor | None = None) -> Iterator[Tensor]:
        """The points on their way from latent to data, after each of the maps that this one consists of.

        Arguments:
            z: latent, (*batch, D).
            context: (*batch, C), as for `forward`.

        Returns:
            Values of shape (*batch, D), the last of which is x = f(z).
        """
        yield self(z, context)[0]

    def dependencies(self) -> Tensor:
        """What may depend on what.

        Returns:
            (D, D) boolean, on the CPU, True at [i, j] where x[i] may depend on z[j]; ∂x[i]/∂z[j] is 0 elsewhere.
        """
        return torch.ones(self.features, self.features, dtype=torch.bool)

    def order(self) -> list[int] | None:
        """The order of the features in which the Jacobian of the map is triangular, from first to last.

        In this order x[d] depends on z[d] and on the features before d alone, and so does z[d] on x. Where several
        orders have this property, as they all have for a map of every feature by itself, features that depend on fewer
        others come first, and then those of lower index.

        Returns:
            The order, or None if there is none.

        Example:
            >>> import pushforward as pf
            >>> pf.maf(features=3, order=(2, 0, 1)).bijection.order(), pf.bijections.LU(3).order()
            ([2, 0, 1], None)
        """
        return triangular_order(self.dependencies())

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term of log_det for each feature, where there is an `order`.

        Arguments:
            x: data, (*batch, D).
            context: (*batch, C).

        Returns:
            z and log|∂z[d]/∂x[d]|, both (*batch, D). The latter are the diagonal of the Jacobian and sum to log_det.

        Raises:
            InputError: the Jacobian is triangular in no order of the features.
        """
        self._check_one_feature("each_inverse")
        z, log_det = self.inverse(x, context)
        return z, log_det[..., None]

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Map latent to data, and say how each single feature is mapped given those before it in `order`.

        Arguments:
            z: latent, (*batch, D).
            context: (*batch, C).

        Returns:
            x, (*batch, D), and the maps that take z[d] to x[d] one after the other while the features before d stay as
            they are: x[d] = map_K(... map_1(z[d])).

        Raises:
            InputError: the Jacobian is triangular in no order of the features.
        """
        self._check_one_feature("forward_with_maps")
        return self(z, context)[0], [_MapOfOneFeature(self, context)]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Map data to latent; otherwise as `forward_with_maps`, whose maps, from z to x, are returned."""
        self._check_one_feature("inverse_with_maps")
        return self.inverse(x, context)[0], [_MapOfOneFeature(self, context)]

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training; none if that is unknown."""
        return torch.zeros_like(context, dtype=torch.bool)

    @property
    def inner(self) -> "Bijection":
        """The map in its own units, where this one standardizes values and contexts around it; else this one."""
        return self

    def to_inner(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x, (*batch, D), and its context as the inverse of `inner` is given them."""
        return x, context

    def refine(self) -> None:
        """Be more accurate from now on; a closed form, or a root to the last float, is so already."""

    @property
    def trains_compiled(self) -> bool:
        """Whether compiled kernels compute this map and its gradients, as far as it decides that; default no."""
        return False

    @property
    def cost(self) -> Cost:
        """What each direction costs."""
        return Cost()

    def check_event(self, value: Tensor) -> None:
        """Refuse a value whose last dimension is not `features`: indexing would drop or repeat columns silently."""
        if value.dim() == 0 or value.shape[-1] != self.features:
            raise InputError(
                f"{type(self).__name__} maps vectors of {self.features} features: "
                f"expected shape (..., {self.features}), got {tuple(value.shape)}."
            )

    def check_order(self) -> None:
        """Refuse a map that is triangular in no order: what is asked of single features has no answer."""
        if self.order() is None:
            raise InputError(
                f"{type(self).__name__} mixes features: no order of the features makes its Jacobian triangular."
            )

    def _check_one_feature(self, method: str) -> None:
        self.check_order()
        if self.features > 1:
            raise NotImplementedError(f"{type(self).__name__} has an order of the features, but no {method}.")

    def extra_repr(self) -> str:
        """Show the sizes and the cost of each direction."""
        context = f", context={self.context_features}" if self.context_features else ""
        return f"features={self.features}{context}, forward: {self.cost.forward}, inverse: {self.cost.inverse}"


class _MapOfOneFeature(NamedTuple):
    """A bijection of one feature at a given context."""

    bijection: Bijection
    context: Tensor | None
    affine: bool = False

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.bijection(z, self.context)
        return x, log_det[..., None]

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Values come in the precision of maps around this one, such as those into the units of data.
        dtype = next((parameter.dtype for parameter in self.bijection.parameters()), x.dtype)
        z, log_det = self.bijection.inverse(x.to(dtype), self.context)
        return z, log_det[..., None]

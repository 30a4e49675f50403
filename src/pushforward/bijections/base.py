"""The contract of every map, and the two ways to make maps of maps.

`z` is latent, `x` is data. `forward` is z → x, the generative direction of x = f(z); `inverse` is x → z. Both return
the value and `log_det`, the log|det| of the Jacobian **of the map just applied**, so the two log_dets of one point
are negatives of each other.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.bijections.conditional_map import ConditionalMap, InverseMap
from pushforward.bijections.ordering import closure, triangular_order
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

    Example:
        >>> import torch
        >>> class Doubling(Bijection):
        ...     features = 2
        ...     def forward(self, z, context=None):
        ...         return 2 * z, z.new_full(z.shape[:-1], 2 * 0.6931472)
        ...     def inverse(self, x, context=None):
        ...         return x / 2, x.new_full(x.shape[:-1], -2 * 0.6931472)
        >>> Inverse(Doubling())(torch.ones(3, 2))[0]
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [0.5000, 0.5000]])
    """

    features: int
    context_features: int = 0

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

    @property
    def cost(self) -> Cost:
        """What each direction costs."""
        return Cost()

    def check_event(self, value: Tensor) -> None:
        """Refuse a value whose last dimension is not `features`: indexing would drop or repeat columns silently."""
        if value.dim() == 0 or value.shape[-1] != self.features:
            raise ValueError(
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


class Compose(Bijection):
    """Several maps, one after the other: z → b1 → b2 → ... → x.

    log_det is the sum of the parts' log_dets. `inverse` runs the parts' inverses from the last to the first.

    Arguments:
        bijections: the maps in the generative order, at least one, all of the same number of features.

    Raises:
        ValueError: the list is empty, or the numbers of features differ.

    Example:
        >>> import torch
        >>> from pushforward.bijections import ElementwiseAffine, Permutation
        >>> flow = Compose([ElementwiseAffine(shift=[1.0, 1.0]), Permutation([1, 0])])
        >>> flow(torch.tensor([[0.0, 5.0]]))[0]
        tensor([[6., 1.]])
    """

    def __init__(self, bijections: Sequence[Bijection]):
        super().__init__()
        if not bijections:
            raise ValueError("Compose needs at least one bijection.")
        sizes = [bijection.features for bijection in bijections]
        if len(set(sizes)) > 1:
            raise ValueError(f"Compose needs bijections of the same number of features, got {sizes}.")
        self.bijections = nn.ModuleList(bijections)
        self.features = sizes[0]
        self.context_features = max(bijection.context_features for bijection in bijections)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the maps in order."""
        first, *rest = self
        x, log_det = first(z, context)
        for bijection in rest:
            x, term = bijection(x, context)
            log_det = log_det + term
        return x, log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inverses in reverse order."""
        *rest, last = self
        z, log_det = last.inverse(x, context)
        for bijection in reversed(rest):
            z, term = bijection.inverse(z, context)
            log_det = log_det + term
        return z, log_det

    def dependencies(self) -> Tensor:
        """Those of all parts together, and what follows from them."""
        return closure(*(bijection.dependencies() for bijection in self))

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inverses in reverse order; a term of a feature is the sum of the parts' terms."""
        self.check_order()
        total = torch.zeros_like(x)
        for bijection in reversed(list(self)):
            x, terms = bijection.each_inverse(x, context)
            total = total + terms
        return x, total

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Apply the maps in order and collect those of single features."""
        self.check_order()
        collected: list[ConditionalMap] = []
        for bijection in self:
            z, maps = bijection.forward_with_maps(z, context)
            collected = [*collected, *maps]
        return z, collected

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Apply the inverses in reverse order and collect the maps of single features."""
        self.check_order()
        collected: list[ConditionalMap] = []
        for bijection in reversed(list(self)):
            x, maps = bijection.inverse_with_maps(x, context)
            collected = [*maps, *collected]
        return x, collected

    @property
    def cost(self) -> Cost:
        """The parts' costs: parts of one pass count as one pass together, all others are counted."""
        return Cost(
            _total([bijection.cost.forward for bijection in self]),
            _total([bijection.cost.inverse for bijection in self]),
        )

    def __iter__(self) -> Iterator[Bijection]:
        return iter(self.bijections)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.bijections)

    def __getitem__(self, index: int) -> Bijection:
        return self.bijections[index]  # type: ignore[return-value]


class Inverse(Bijection):
    """A map with its two directions swapped: forward of `Inverse(b)` is the inverse of b.

    The inverse autoregressive flow is exactly this of the masked autoregressive flow.

    Arguments:
        bijection: the map to invert.
    """

    def __init__(self, bijection: Bijection):
        super().__init__()
        self.bijection = bijection
        self.features = bijection.features
        self.context_features = bijection.context_features

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the map's inverse."""
        return self.bijection.inverse(z, context)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the map itself."""
        return self.bijection(x, context)

    def dependencies(self) -> Tensor:
        """Those of the map, and what follows from them: the inverse of a matrix is a polynomial in it."""
        return closure(self.bijection.dependencies())

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the map itself; the terms are minus those of its inverse, which is applied too."""
        z, _ = self.inverse(x, context)
        return z, -self.bijection.each_inverse(z, context)[1]

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Apply the map's inverse."""
        x, maps = self.bijection.inverse_with_maps(z, context)
        return x, [InverseMap(one) for one in reversed(maps)]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Apply the map itself."""
        z, maps = self.bijection.forward_with_maps(x, context)
        return z, [InverseMap(one) for one in reversed(maps)]

    @property
    def cost(self) -> Cost:
        """The map's costs, swapped."""
        return Cost(self.bijection.cost.inverse, self.bijection.cost.forward)


class _MapOfOneFeature(NamedTuple):
    """A bijection of one feature at a given context."""

    bijection: Bijection
    context: Tensor | None
    affine: bool = False

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.bijection(z, self.context)
        return x, log_det[..., None]

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self.bijection.inverse(x, self.context)
        return z, log_det[..., None]


def _total(costs: list[str]) -> str:
    counts = Counter(cost for cost in costs if cost != "1 pass")
    return " + ".join(f"{count} × {cost}" for cost, count in counts.items()) or "1 pass"

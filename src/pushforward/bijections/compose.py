"""The two ways to make maps of maps: one after the other, and inverted."""

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.conditional_map import ConditionalMap, InverseMap
from pushforward.bijections.ordering import closure


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

    def stages(self, z: Tensor, context: Tensor | None = None) -> Iterator[Tensor]:
        """Those of all parts, one after the other."""
        for bijection in self:
            for stage in bijection.stages(z, context):
                yield stage
            z = stage

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


def _total(costs: list[str]) -> str:
    counts = Counter(cost for cost in costs if cost != "1 pass")
    return " + ".join(f"{count} × {cost}" for cost, count in counts.items()) or "1 pass"

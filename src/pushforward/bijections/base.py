"""The contract of every map, and the two ways to make maps of maps.

`z` is latent, `x` is data. `forward` is z → x, the generative direction of x = f(z); `inverse` is x → z. Both return
the value and `log_det`, the log|det| of the Jacobian **of the map just applied**, so the two log_dets of one point
are negatives of each other.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn


class Cost(NamedTuple):
    """What each direction of a bijection costs, in words: "1 pass", "D steps", "scalar root"."""

    forward: str = "1 pass"
    inverse: str = "1 pass"


class Bijection(nn.Module):
    """An invertible, differentiable map x = f(z) of vectors, with its log_det in both directions.

    A map of your own defines `forward` and `inverse`, and sets `features` (and `context_features` when it is
    conditional). The event is the last dimension; every dimension before it is batch.

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

    @property
    def cost(self) -> Cost:
        """The parts' costs: one-pass parts count as one pass together, dearer parts are counted."""
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
        bijection: the map to turn round.
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

    @property
    def cost(self) -> Cost:
        """The map's costs, swapped."""
        return Cost(self.bijection.cost.inverse, self.bijection.cost.forward)


def _total(costs: list[str]) -> str:
    dear = Counter(cost for cost in costs if cost != "1 pass")
    return " + ".join(f"{count} × {cost}" for cost, count in dear.items()) or "1 pass"

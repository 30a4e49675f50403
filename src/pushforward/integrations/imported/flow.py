"""A flow of layers that another library has: described, built, saved and loaded as any other."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from pushforward.bijections import ActNorm, Autoregressive, Bijection, Compose, Coupling, Inverse, Permutation
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.imported.families import FAMILIES
from pushforward.networks import Conditioner
from pushforward.support.suggestions import nearest
from pushforward.zoo.registry import register


class Layer(BaseModel):
    """One layer, as a model file describes it.

    Attributes:
        kind: "autoregressive", with an order or an adjacency; "coupling", with the features that are transformed;
            "permutation", with an order; or "actnorm".
        family: of univariate maps, a name in `FAMILIES`.
        options: of the family.
        hidden: widths of the network.
        activation: of the network.
        residual: whether its hidden layers come in pairs.
        order: of the features.
        adjacency: of the features, in place of an order.
        transformed: which features a coupling layer maps.
        inverse: whether the directions are swapped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["autoregressive", "coupling", "permutation", "actnorm"]
    family: str = "additive"
    options: dict[str, float | int | str] = {}
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    residual: bool = False
    order: tuple[int, ...] | None = None
    adjacency: tuple[tuple[bool, ...], ...] | None = None
    transformed: tuple[bool, ...] | None = None
    inverse: bool = False

    def build(self, features: int, context: int) -> Bijection:
        """The layer with fresh weights."""
        layer = self._built(features, context)
        return Inverse(layer) if self.inverse else layer

    def _built(self, features: int, context: int) -> Bijection:
        if self.kind == "permutation":
            return Permutation(self.order or ())
        if self.kind == "actnorm":
            return ActNorm(features)
        if self.family not in FAMILIES:
            raise InputError(f"imported: there is no family {self.family!r}; {nearest(self.family, FAMILIES)}")
        univariate = TypeAdapter(FAMILIES[self.family]).validate_python(self.options)
        conditioner = Conditioner(self.hidden, self.activation, self.residual)
        if self.kind == "coupling":
            return Coupling(self.transformed or (), univariate, conditioner, context)
        return Autoregressive(features, univariate, conditioner, context, self.order, self.adjacency)


@register("imported")
def imported(features: int, layers: list[Layer], context: int = 0) -> Flow:
    """A flow of layers of another library over a standard normal base, with fresh weights.

    Arguments:
        features: D.
        layers: from latent to data.
        context: C, default 0.

    Example:
        >>> halves = Layer(kind="coupling", family="zuko_affine", hidden=(8,), transformed=(True, False))
        >>> imported(2, [halves]).sample((3,)).shape
        torch.Size([3, 2])
    """
    bijection = Compose([layer.build(features, context) for layer in layers])
    config: dict[str, Any] = {"architecture": "imported", "features": features, "context": context}
    config["layers"] = [layer.model_dump(mode="json", exclude_defaults=True) for layer in layers]
    return Flow(bijection, StandardNormal(features), config)

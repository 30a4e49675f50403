"""A flow of ours made of what was read of another library's, layer by layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward.bijections import Inverse
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.imported.flow import Layer, imported
from pushforward.integrations.imported.weights import Weights, fill_affine, fill_dense, fill_masked, seen_by, widths_for
from pushforward.networks.conditioner import ACTIVATIONS


class Network(NamedTuple):
    """A network that supplies the parameters of univariate maps.

    Attributes:
        weights: of its layers, in the order of our parameters.
        activation: our name of it.
        masks: of its layers, over features alone; None for a coupling layer.
        residual: whether its hidden layers come in pairs.
    """

    weights: Weights
    activation: str = "relu"
    masks: Sequence[Tensor] | None = None
    residual: bool = False


class ReadLayer(NamedTuple):
    """A layer of another library.

    Attributes:
        family: of its univariate maps, a name in `FAMILIES`.
        options: of the family.
        network: None for a permutation and an affine map.
        transformed: the features that a coupling layer maps.
        order: of a permutation, from latent to data.
        affine: shift and log_scale, each (D,), of x = shift + exp(log_scale) · z.
        inverse: whether it leads from latent to data, where the others lead from data to latent.
    """

    family: str = "additive"
    options: dict[str, Any] = {}  # noqa: RUF012
    network: Network | None = None
    transformed: tuple[bool, ...] | None = None
    order: tuple[int, ...] | None = None
    affine: tuple[Tensor, Tensor] | None = None
    inverse: bool = False

    def described(self, features: int, context: int) -> Layer:
        """As a model file describes it."""
        network = self.network
        if self.affine is not None:
            return Layer(kind="actnorm", inverse=self.inverse)
        if network is None:
            return Layer(kind="permutation", order=self.order)
        common: dict[str, Any] = {
            "family": self.family,
            "options": self.options,
            "activation": network.activation,
            "residual": network.residual,
            "inverse": self.inverse,
        }
        if network.masks is None:
            hidden = tuple(len(bias) for _, bias in network.weights[:-1])
            return Layer(kind="coupling", transformed=self.transformed, hidden=hidden, **common)
        *units, outputs = seen_by(network.masks)
        adjacency = outputs[:: len(outputs) // features]
        hidden = widths_for(units, adjacency, context)
        seen = adjacency.sum(1)
        if seen.sort().values.tolist() == list(range(features)):
            return Layer(kind="autoregressive", order=tuple(seen.argsort().tolist()), hidden=hidden, **common)
        rows = tuple(tuple(row) for row in adjacency.tolist())
        return Layer(kind="autoregressive", adjacency=rows, hidden=hidden, **common)


def rebuilt(features: int, context: int, layers: Sequence[ReadLayer], like: Tensor) -> Flow:
    """A flow of ours of layers that were read of another one.

    Arguments:
        features: D.
        context: C.
        layers: from data to latent.
        like: a tensor in the precision and on the device that the flow shall have.
    """
    from_latent = list(reversed(layers))
    flow = imported(features, [layer.described(features, context) for layer in from_latent], context).to(like)
    for read, built in zip(from_latent, flow.bijection, strict=True):  # type: ignore[call-overload]
        layer: Any = built.bijection if isinstance(built, Inverse) else built
        if read.affine is not None:
            fill_affine(layer, *read.affine)
        if read.network is None:
            continue
        if read.network.masks is None:
            fill_dense(layer.conditioner, read.network.weights)
        else:
            fill_masked(layer.conditioner, read.network.weights, read.network.masks)
    return flow


def activation_name(activation: nn.Module) -> str:
    """Our name of an activation.

    Arguments:
        activation: a module, or a function of tensors.

    Raises:
        InputError: we have none like it.

    Example:
        >>> activation_name(nn.ELU())
        'elu'
    """
    x = torch.linspace(-3, 3, 7)
    for name, kind in ACTIVATIONS.items():
        if torch.equal(activation(x), kind()(x)):
            return name
    raise InputError(f"The activation {activation!r} is none of those of networks here: {', '.join(ACTIVATIONS)}.")

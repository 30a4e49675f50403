"""What the networks of coupling and autoregressive layers have in common."""

from dataclasses import dataclass

from torch import nn

from pushforward.support.suggestions import nearest

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


@dataclass(frozen=True)
class Conditioner:
    """The size and kind of a network that supplies the parameters of univariate maps.

    Arguments:
        hidden: widths of the hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: after the first hidden layer, take the others in pairs and add each pair's input to its output,
            default False. There are then 1, 3, 5 ... hidden layers of one width.
        dropout: the share of hidden activations that are set to zero in training mode, the rest scaled up by
            1 / (1 - dropout), default 0.

    Raises:
        ValueError: an unknown activation, residual without an odd number of hidden layers of one width, or dropout not
            in [0, 1).

    Source: residual pairs: He, Zhang, Ren and Sun 2016, arXiv:1603.05027; dropout: Hinton et al. 2012,
    arXiv:1207.0580.

    Example:
        >>> Conditioner((8, 8, 8), residual=True).skips
        [None, None, 0, None]
    """

    hidden: tuple[int, ...] = (128, 128)
    activation: str = "relu"
    residual: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"There is no activation {self.activation!r}; {nearest(self.activation, ACTIVATIONS)}")
        if self.residual and (len(self.hidden) % 2 == 0 or len(set(self.hidden)) > 1):
            raise ValueError(f"A residual network has 1, 3, 5 ... hidden layers of one width, got {self.hidden}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1, got {self.dropout}.")

    @property
    def skips(self) -> list[int | None]:
        """For each layer of weights, which earlier layer's output is added to its own, or None."""
        # The input of a pair, layers k - 1 and k, is the output of layer k - 2.
        last = len(self.hidden)
        return [k - 2 if self.residual and k % 2 == 0 and 0 < k < last else None for k in range(last + 1)]

    def activate(self) -> nn.Module:
        """A fresh module of the activation."""
        return ACTIVATIONS[self.activation]()

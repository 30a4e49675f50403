"""Maps of every feature by itself: their contract, and fixed or trained affine ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection
from pushforward.bijections.conditional_map import ConditionalMap


class Elementwise(Bijection):
    """x[d] = f_d(z[d]): every feature is mapped by itself, whatever the context.

    A map of your own defines `each_forward` and `each_inverse`. Its Jacobian is diagonal, so that it keeps any order of
    the features.

    Attributes:
        affine: whether every f_d is known to be affine, default False.

    Example:
        >>> class Sinh(Elementwise):
        ...     features = 2
        ...     def each_forward(self, z):
        ...         return z.sinh(), z.cosh().log()
        ...     def each_inverse(self, x, context=None):
        ...         z = x.asinh()
        ...         return z, -z.cosh().log()
        >>> Sinh()(torch.zeros(2))
        (tensor([0., 0.]), tensor(0.))
    """

    affine: bool = False

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x[d] = f_d(z[d]), log_det = Σ log|∂x[d]/∂z[d]|."""
        x, log_derivative = self.each_forward(z)
        return x, log_derivative.sum(-1)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z[d] = f_d⁻¹(x[d]), log_det = Σ log|∂z[d]/∂x[d]|."""
        z, log_derivative = self.each_inverse(x)
        return z, log_derivative.sum(-1)

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and log|∂x[d]/∂z[d]|, both (*batch, D), of z, (*batch, D)."""
        raise NotImplementedError(f"{type(self).__name__} has no each_forward (z → x, feature by feature).")

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log|∂z[d]/∂x[d]|, both (*batch, D), of x, (*batch, D)."""
        raise NotImplementedError(f"{type(self).__name__} has no each_inverse (x → z, feature by feature).")

    def dependencies(self) -> Tensor:
        """Each feature depends on itself alone."""
        return torch.eye(self.features, dtype=torch.bool)

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Map latent to data; the map of single features is this one."""
        return self(z)[0], [self]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """Map data to latent; the map of single features is this one."""
        return self.inverse(x)[0], [self]


class ElementwiseAffine(Elementwise):
    """A fixed affine map of each feature, x = shift + scale · z, log_det = Σ log|scale|.

    With the data's mean and standard deviation this is standardization as a layer: densities stay in the units of the
    data because log_det is counted.

    Arguments:
        shift: (D,), default zeros.
        scale: (D,), positive, default ones.

    Raises:
        ValueError: neither is given, the lengths differ, or a scale is not positive and finite.

    Cost: 1 pass in both directions.

    Example:
        >>> to_celsius = ElementwiseAffine(shift=[15.0], scale=[10.0])
        >>> x, log_det = to_celsius(torch.tensor([[1.0]]))
        >>> x, log_det
        (tensor([[25.]]), tensor([2.3026]))
    """

    affine = True
    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor | Sequence[float] | None = None, scale: Tensor | Sequence[float] | None = None):
        super().__init__()
        if shift is None and scale is None:
            raise ValueError("ElementwiseAffine needs a shift or a scale, to know the number of features.")
        if shift is None:
            scale = torch.as_tensor(scale)
            shift = torch.zeros_like(scale)
        shift = torch.as_tensor(shift)
        scale = torch.ones_like(shift) if scale is None else torch.as_tensor(scale)
        if shift.dim() != 1 or shift.shape != scale.shape:
            raise ValueError(
                f"shift and scale must be vectors of one length, got {tuple(shift.shape)} and {tuple(scale.shape)}."
            )
        if not bool((torch.isfinite(scale) & (scale > 0)).all()):
            raise ValueError(f"Every scale must be positive and finite, got {scale.tolist()}.")
        self.features = shift.shape[0]
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = shift + scale · z."""
        self.check_event(z)
        x = self.shift + self.scale * z
        return x, self.scale.log().sum().to(x.dtype).expand(x.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = (x - shift) / scale."""
        self.check_event(x)
        z = (x - self.shift) / self.scale
        return z, -self.scale.log().sum().to(z.dtype).expand(z.shape[:-1])

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log scale for each feature."""
        x, _ = self(z)
        return x, self.scale.log().to(x.dtype).expand(x.shape)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with -log scale for each feature."""
        z, _ = self.inverse(x)
        return z, -self.scale.log().to(z.dtype).expand(z.shape)


class Rescaling(Elementwise):
    """A trained scale for each feature, x = exp(log_scale) · z, log_det = Σ log_scale.

    NICE ends its volume-preserving layers with one of these, so that the model can weight the features. In the paper
    the scale multiplies in the direction x → z.

    Arguments:
        features: D.

    Cost: 1 pass in both directions.

    Source: Dinh, Krueger and Bengio 2014, NICE, arXiv:1410.8516, section 3.3.

    Example:
        >>> Rescaling(2)(torch.tensor([1.0, 2.0]))[0]
        tensor([1., 2.], grad_fn=<MulBackward0>)
    """

    affine = True

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        self.log_scale = nn.Parameter(torch.zeros(features))

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = exp(log_scale) · z."""
        self.check_event(z)
        return z * self.log_scale.exp(), self.log_scale.sum().expand(z.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = exp(-log_scale) · x."""
        self.check_event(x)
        return x * (-self.log_scale).exp(), -self.log_scale.sum().expand(x.shape[:-1])

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log_scale for each feature."""
        return self(z)[0], self.log_scale.expand(z.shape)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with -log_scale for each feature."""
        return self.inverse(x)[0], -self.log_scale.expand(x.shape)

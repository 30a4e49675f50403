"""Element-wise affine maps: a fixed one for standardisation, a trained one for rescaling."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection


class ElementwiseAffine(Bijection):
    """A fixed affine map of each feature, x = shift + scale · z, log_det = Σ log|scale|.

    With the data's mean and standard deviation this is standardisation as a layer: densities stay in the data's own
    units because the log_det is counted.

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


class Rescaling(Bijection):
    """A trained scale for each feature, x = exp(log_scale) · z, log_det = Σ log_scale.

    NICE ends its volume preserving layers with one of these, so that the model can weigh the features
    (Dinh, Krueger and Bengio 2014, arXiv:1410.8516, section 3.3; there the scale multiplies in the direction x → z).

    Arguments:
        features: D.

    Cost: 1 pass in both directions.
    """

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

"""ActNorm: an affine layer that standardizes its first training batch."""

import torch
from torch import Tensor, nn

from pushforward.bijections.elementwise import Elementwise


class ActNorm(Elementwise):
    """A trained affine map of each feature, x = shift + exp(log_scale) · z, that starts from the data.

    The first batch that passes from x to z in training mode sets shift and log_scale to that batch's mean and log
    standard deviation, so that z starts out standardized; from then on both are ordinary parameters. Sampling (z → x),
    evaluation mode and batches of fewer than two rows never initialize. A buffer records whether it has happened, so
    that a loaded model is not initialized again. A feature that is constant in the first batch keeps scale 1.

    Arguments:
        features: D.

    Cost: 1 pass in both directions.

    Source: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039, section 3.1.

    Example:
        >>> layer = ActNorm(1)
        >>> z, log_det = layer.inverse(torch.tensor([[1.0], [2.0], [3.0]]))
        >>> z[:, 0]
        tensor([-1.,  0.,  1.], grad_fn=<SelectBackward0>)
    """

    affine = True
    initialized: Tensor

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))
        self.register_buffer("initialized", torch.tensor(False))

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = shift + exp(log_scale) · z."""
        self.check_event(z)
        return self.shift + z * self.log_scale.exp(), self.log_scale.sum().expand(z.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = (x - shift) · exp(-log_scale)."""
        self.check_event(x)
        if self.training and not self.initialized:
            self._initialize(x.detach())
        return (x - self.shift) * (-self.log_scale).exp(), -self.log_scale.sum().expand(x.shape[:-1])

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log_scale for each feature."""
        return self(z)[0], self.log_scale.expand(z.shape)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with -log_scale for each feature."""
        z, _ = self.inverse(x)
        return z, -self.log_scale.expand(x.shape)

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        rows = x.reshape(-1, self.features)
        if len(rows) < 2 or not bool(torch.isfinite(rows).all()):
            return
        deviation = rows.std(0)
        self.shift.copy_(rows.mean(0))
        self.log_scale.copy_(torch.where(deviation > 0, deviation, 1.0).log())
        self.initialized.fill_(True)

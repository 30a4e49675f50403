"""The invertible 1 × 1 convolution: one matrix mixes the channels of every pixel."""

import torch
from torch import Tensor
from torch.linalg import solve_triangular

from pushforward.bijections.base import Bijection
from pushforward.bijections.linear import LU
from pushforward.support.autocast import in_full_precision

# Of the diagonal of U.
SMALLEST_START = 0.01


class Convolution1x1(Bijection):
    """x[:, p] = P L U z[:, p] + shift for every pixel p, log_det = H · W · Σ log diag(U).

    P is a fixed permutation, L lower triangular with ones on its diagonal, U upper triangular with a positive diagonal,
    so that the matrix is always invertible. It starts as a random orthogonal one.

    Arguments:
        channels: C.
        pixels: H · W.

    Cost: 1 pass in both directions: C² for each pixel; the inverse matrix once, by two triangular solves.

    Source: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039, section 3.2.

    Example:
        >>> layer = Convolution1x1(channels=3, pixels=4)
        >>> x, log_det = layer(torch.ones(5, 12))
        >>> torch.allclose(layer.inverse(x)[0], torch.ones(5, 12), atol=1e-5)
        True
    """

    source: Tensor

    def __init__(self, channels: int, pixels: int):
        super().__init__()
        self.features = channels * pixels
        self.lu = LU(channels)
        rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        # Columns of the other sign leave the matrix orthogonal, and make the diagonal of U positive. Where that would
        # be tiny, the matrix is only nearly orthogonal.
        upper = upper * upper.diagonal().sign()
        upper = upper.triu(1) + upper.diagonal().clamp_min(SMALLEST_START).diag()
        self.lu.start_at_factors(lower, upper)
        self.register_buffer("source", permutation.argmax(1))

    @in_full_precision
    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x[:, p] = P L U z[:, p] + shift."""
        lower, upper, log_det = self.lu.triangles()
        matrix = (lower @ upper).index_select(0, self.source)
        pixels = self._channels(z)
        x = _times(matrix, pixels) + self.lu.shift[:, None]
        return x.flatten(-2), (pixels.shape[-1] * log_det).expand(z.shape[:-1])

    @in_full_precision
    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z[:, p] = (P L U)⁻¹ (x[:, p] - shift)."""
        lower, upper, log_det = self.lu.triangles()
        permutation = torch.eye(len(self.source), dtype=lower.dtype, device=lower.device).index_select(0, self.source)
        # The inverse of P is its transpose.
        inverse = solve_triangular(lower, permutation.t(), upper=False, unitriangular=True)
        inverse = solve_triangular(upper, inverse, upper=True)
        pixels = self._channels(x)
        z = _times(inverse, pixels - self.lu.shift[:, None])
        return z.flatten(-2), -(pixels.shape[-1] * log_det).expand(x.shape[:-1])

    def _channels(self, value: Tensor) -> Tensor:
        self.check_event(value)
        return value.unflatten(-1, (len(self.source), -1))


def _times(matrix: Tensor, pixels: Tensor) -> Tensor:
    """matrix @ pixels, (*batch, C, P)."""
    images = pixels.reshape(-1, *pixels.shape[-2:])
    # As many products as images: their gradients take a fifth of the time of those of one broadcast product.
    return torch.bmm(matrix.expand(len(images), -1, -1), images).view(pixels.shape)

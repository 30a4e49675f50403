"""Linear layers that mix all features: an LU-decomposed matrix, and a product of reflections."""

import math

import torch
from torch import Tensor, nn
from torch.linalg import solve_triangular
from torch.nn.functional import softplus

from pushforward.bijections.base import Bijection
from pushforward.support.autocast import in_full_precision

SMALLEST_DIAGONAL = 1e-3


class LU(Bijection):
    """x = L U z + shift, L lower triangular with ones on its diagonal, U upper triangular, log_det = Σ log diag(U).

    The diagonal of U is 1e-3 + softplus(·), so that the matrix is always invertible. The layer starts at the identity.

    Arguments:
        features: D.

    Attributes:
        factors: (D, D), below the diagonal L, above it U, on it the diagonal of U before the softplus, less its value
            at the identity.
        shift: (D,).

    Cost: 1 pass in both directions: two triangular products, or two triangular solves, D² for each row.

    Source: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039, section 3.2; Oliva et al. 2018, arXiv:1801.09819.

    Example:
        >>> layer = LU(3)
        >>> x, log_det = layer(torch.ones(5, 3))
        >>> torch.allclose(layer.inverse(x)[0], torch.ones(5, 3))
        True
    """

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        self.factors = nn.Parameter(torch.zeros(features, features))
        self.shift = nn.Parameter(torch.zeros(features))

    @torch.no_grad()
    def start_at(self, matrix: Tensor, shift: Tensor) -> None:
        """Let the map be x = matrix z + shift, until training.

        Arguments:
            matrix: (D, D), symmetric and positive definite, its smallest eigenvalue above 1e-3.
            shift: (D,).

        Example:
            >>> layer = LU(2)
            >>> layer.start_at(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.zeros(2))
            >>> layer(torch.tensor([1.0, 0.0]))[0]
            tensor([2., 1.], grad_fn=<AddBackward0>)
        """
        root = torch.linalg.cholesky(matrix.double())
        diagonal = root.diagonal()
        # matrix = root rootᵀ, root = L diag(diagonal): so U = diag(diagonal) rootᵀ.
        self.start_at_factors(root / diagonal, diagonal[:, None] * root.t())
        self.shift.copy_(shift)

    @torch.no_grad()
    def start_at_factors(self, lower: Tensor, upper: Tensor) -> None:
        """Let the matrix be the product of two triangles, until training.

        Arguments:
            lower: L, (D, D), with ones on its diagonal.
            upper: U, (D, D), its diagonal above 1e-3.
        """
        one = math.log(math.expm1(1 - SMALLEST_DIAGONAL))
        free = torch.log(torch.expm1(upper.diagonal() - SMALLEST_DIAGONAL)) - one
        self.factors.copy_(lower.tril(-1) + upper.triu(1) + free.diag())

    @in_full_precision
    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = L U z + shift."""
        self.check_event(z)
        lower, upper, log_det = self.triangles()
        x = z @ upper.t() @ lower.t() + self.shift
        return x, log_det.expand(x.shape[:-1])

    @in_full_precision
    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = U⁻¹ L⁻¹ (x - shift)."""
        self.check_event(x)
        lower, upper, log_det = self.triangles()
        rows = (x - self.shift).reshape(-1, self.features)
        rows = solve_triangular(lower.t(), rows, upper=True, left=False, unitriangular=True)
        z = solve_triangular(upper.t(), rows, upper=False, left=False)
        return z.view(x.shape), -log_det.expand(x.shape[:-1])

    def triangles(self) -> tuple[Tensor, Tensor, Tensor]:
        """L and U, (D, D), and Σ log diag(U)."""
        one = math.log(math.expm1(1 - SMALLEST_DIAGONAL))  # where the diagonal is 1
        diagonal = SMALLEST_DIAGONAL + softplus(self.factors.diagonal() + one)
        identity = torch.eye(self.features, dtype=diagonal.dtype, device=diagonal.device)
        return self.factors.tril(-1) + identity, self.factors.triu(1) + diagonal.diag(), diagonal.log().sum()


class Householder(Bijection):
    """x = H_1 ... H_K z, each H = I - 2 v vᵀ / |v|² the reflection in the plane across v: orthogonal, log_det = 0.

    With K = D reflections every orthogonal matrix of determinant (-1)^D can be reached. The layer starts at random
    vectors v, which is a rotation (a rotation and a reflection when K is odd) that mixes all features; being
    orthogonal, it never stretches or squeezes anything, before or after training. A vector v = 0 reflects nothing.

    Arguments:
        features: D.
        reflections: K, default D.

    Raises:
        ValueError: less than one reflection.

    Cost: 1 pass in both directions. All reflections are applied at once, x = z - Vᵀ S⁻¹ V z with the vectors of length
    1 as rows of V and S the upper triangle of V Vᵀ with 1/2 on its diagonal: 2 K D for each row, and K² D once.

    Source: Tomczak and Welling 2016, arXiv:1611.09630; all at once: Joffrain et al. 2006, doi:10.1145/1141885.1141886.

    Example:
        >>> layer = Householder(3)
        >>> x, log_det = layer(torch.eye(3))
        >>> torch.allclose(x @ x.T, torch.eye(3), atol=1e-6), log_det
        (True, tensor([0., 0., 0.]))
    """

    def __init__(self, features: int, reflections: int | None = None):
        super().__init__()
        reflections = features if reflections is None else reflections
        if reflections < 1:
            raise ValueError(f"Householder needs at least one reflection, got {reflections}.")
        self.features = features
        self.vectors = nn.Parameter(torch.randn(reflections, features))

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = z - Vᵀ S⁻¹ V z."""
        return self._reflect(z, backwards=False)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = x - Vᵀ S⁻ᵀ V x."""
        return self._reflect(x, backwards=True)

    @in_full_precision
    def _reflect(self, value: Tensor, backwards: bool) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        directions = self._directions()
        products = (directions @ directions.t()).triu(1)
        triangle = products + 0.5 * torch.eye(len(products), dtype=products.dtype, device=products.device)
        if not backwards:
            triangle = triangle.t()
        mapped = value - value @ directions.t() @ solve_triangular(triangle, directions, upper=backwards)
        return mapped, torch.zeros_like(mapped[..., 0])

    def _directions(self) -> Tensor:
        """The vectors scaled to length 1, (K, D); vectors of 0 stay 0."""
        # Squares of tiny or huge numbers underflow or overflow. Lengths do not matter, so this factor does not either.
        largest = self.vectors.detach().abs().amax(-1, keepdim=True)
        scaled = self.vectors / torch.where(largest > 0, largest, 1)
        return scaled / torch.where(largest > 0, scaled.square().sum(-1, keepdim=True), 1).sqrt()

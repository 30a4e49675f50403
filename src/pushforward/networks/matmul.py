"""The matrix product, by the faster of torch's two libraries."""

import torch
from torch import Tensor

# With fewer multiplications the time of the call itself dominates.
FEWEST_MULTIPLICATIONS = 2**22
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a b, (rows, columns), of a, (rows, inner), and b, (inner, columns), outside autograd.

    On processors `torch.mm` calls MKL, which uses AVX2 on AMD processors that support AVX-512. oneDNN, which torch also
    ships and uses for convolutions, uses AVX-512: large float32 products take up to half the time.
    """
    if is_faster_with_onednn(a, b):
        # For a matrix with gaps in memory it falls back to a loop that is a thousand times slower.
        if not (b.is_contiguous() or b.t().is_contiguous()):
            b = b.contiguous()
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return torch.mm(a, b)


def is_faster_with_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether a product of matrices is large, in float32 and on a processor."""
    large = a.shape[0] * a.shape[1] * b.shape[1] >= FEWEST_MULTIPLICATIONS
    fits = _ONEDNN and large and a.dtype == b.dtype == torch.float32 and a.is_cpu
    return fits and bool(torch.backends.mkldnn.enabled)

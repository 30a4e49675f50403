"""The matrix product, by whichever of torch's two libraries is quicker."""

import torch
from torch import Tensor

# Below this many multiplications the call itself is what takes the time.
FEWEST_MULTIPLICATIONS = 2**22
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(a: Tensor, b: Tensor) -> Tensor:
    """a · b, (rows, columns), of a, (rows, inner), and b, (inner, columns), outside of autograd.

    On processors `torch.mm` takes MKL, which leaves half the width of an AMD processor unused (AVX2 where AVX-512 is to
    be had). oneDNN, which torch ships too and takes for convolutions, uses all of it: large float32 products run up to
    twice as fast.
    """
    if is_quicker_with_onednn(a, b):
        # Between gaps in memory it falls back on a loop that is a thousand times slower.
        if not (b.is_contiguous() or b.t().is_contiguous()):
            b = b.contiguous()
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return torch.mm(a, b)


def is_quicker_with_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether a product of matrices is large, in float32 and on a processor."""
    large = a.shape[0] * a.shape[1] * b.shape[1] >= FEWEST_MULTIPLICATIONS
    fits = _ONEDNN and large and a.dtype == b.dtype == torch.float32 and a.is_cpu
    return fits and bool(torch.backends.mkldnn.enabled)

"""The shape that several shapes broadcast to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from torch import Size


def broadcast_shapes(*shapes: Sequence[int]) -> Size:
    """Return the shape that all shapes broadcast to.

    The first call of `torch.broadcast_shapes` in a process imports SymPy and half of torch's compiler, which takes as
    long as importing torch; later ones take longer than a small product.

    Args:
        shapes: Sizes of dimensions; the last ones are aligned, and a size of 1 stands for any other.

    Returns:
        The size of each dimension.

    Raises:
        RuntimeError: If two sizes of a dimension differ and neither is 1, as in torch.

    Examples:
        >>> broadcast_shapes((3, 1), (2,), ())
        torch.Size([3, 2])
    """
    sizes = []
    for aligned in zip_longest(*(tuple(shape)[::-1] for shape in shapes), fillvalue=1):
        size = next((one for one in aligned if one != 1), 1)
        if any(one not in (1, size) for one in aligned):
            raise RuntimeError(f"The shapes {', '.join(str(tuple(shape)) for shape in shapes)} do not broadcast.")
        sizes.append(size)
    return Size(sizes[::-1])

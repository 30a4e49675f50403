"""Points that fill a cube, or the space of a normal distribution, evenly: the same at every call."""

import torch
from torch import Tensor

# No point lies on the edge of the cube, which is infinitely far away under a normal distribution.
LEAST = 1e-9


def uniform_points(count: int, features: int) -> Tensor:
    """The first points of a scrambled Sobol sequence, (count, D), float64, above 0 and below 1.

    Arguments:
        count: how many, best a power of 2.
        features: D.

    Source: Sobol 1967, doi:10.1016/0041-5553(67)90144-9; scrambled as by Owen 1998, doi:10.1006/jcom.1998.0487.

    Example:
        >>> bool(((uniform_points(1024, 2).mean(0) - 0.5).abs() < 1e-3).all())
        True
    """
    engine = torch.quasirandom.SobolEngine(features, scramble=True, seed=0)
    points: Tensor = engine.draw(count, dtype=torch.float64)
    return points


def normal_points(count: int, features: int) -> Tensor:
    """The same points under the quantile function of a standard normal distribution, (count, D), float64."""
    return torch.special.ndtri(uniform_points(count, features).clamp(LEAST, 1 - LEAST))

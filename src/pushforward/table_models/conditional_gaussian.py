"""A Gaussian with mean 0: what known features say of the others, and its covariance from rows with gaps."""

import torch
from torch import Tensor

# The smallest variance, the smallest eigenvalue to start from, and what is added to the diagonal in the end.
LEAST_VARIANCE, LEAST_EIGENVALUE, JITTER = 1e-8, 1e-4, 1e-6


@torch.no_grad()
def conditional_moments(covariance: Tensor, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a Gaussian says of each feature given the known ones, all (n, D), float64.

    Arguments:
        covariance: (D, D).
        x: (n, D) values, of which only the known ones matter.
        known: (n, D), True where a feature is known.

    Returns:
        Mean and deviation of each unknown feature given the known ones, 0 and 1 for known ones. And how far each known
        one lies from its mean given the other known ones, in deviations; 0 for unknown ones.

    Example:
        >>> covariance = torch.tensor([[1.0, 0.6], [0.6, 1.0]])
        >>> known = torch.tensor([[True, False]])
        >>> mean, deviation, _ = conditional_moments(covariance, torch.tensor([[2.0, 0.0]]), known)
        >>> mean.round(decimals=4), deviation.round(decimals=4)
        (tensor([[0.0000, 1.2000]], dtype=torch.float64), tensor([[1.0000, 0.8000]], dtype=torch.float64))
    """
    x = torch.where(known, x, 0.0).double()
    covariance, present = covariance.double(), known.double()
    precision = torch.linalg.inv(_of_known(covariance, present))
    weighted = (precision @ x[..., None])[..., 0] * present
    across = covariance * present[:, None, :]
    variance = covariance.diagonal() - ((across @ precision) * across).sum(-1)
    deviation = variance.clamp_min(LEAST_VARIANCE).sqrt()
    distance = weighted / precision.diagonal(dim1=1, dim2=2).clamp_min(LEAST_VARIANCE).sqrt()
    return (weighted @ covariance).masked_fill(known, 0.0), deviation.masked_fill(known, 1.0), distance


def covariance_of(x: Tensor, passes: int = 30) -> Tensor:
    """Return the covariance about 0 of rows with gaps, (D, D), float64, by expectation-maximization.

    Arguments:
        x: (n, D), NaN where a value is missing.
        passes: of expectation-maximization, default 30; complete rows need none.

    Source: Dempster, Laird and Rubin 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.

    Example:
        >>> covariance_of(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
        tensor([[1.0000, 0.0000],
                [0.0000, 1.0000]], dtype=torch.float64)
    """
    known = ~x.isnan()
    x = torch.where(known, x, 0.0).double()
    present = known.double()
    missing = 1 - present
    # From pairs of values that are both present; such an estimate may have negative eigenvalues.
    covariance = (x.t() @ x) / (present.t() @ present).clamp_min(1)
    size, directions = torch.linalg.eigh(covariance)
    covariance = directions @ torch.diag(size.clamp_min(LEAST_EIGENVALUE)) @ directions.t()
    for _ in range(0 if bool(known.all()) else passes):
        mean, _, _ = conditional_moments(covariance, x, known)
        filled = torch.where(known, x, mean)
        across = covariance * present[:, None, :]
        residual = covariance - across @ torch.linalg.inv(_of_known(covariance, present)) @ across.transpose(1, 2)
        spread = (residual * missing[:, :, None] * missing[:, None, :]).sum(0)
        covariance = (filled.t() @ filled + spread) / len(x)
    return covariance + JITTER * torch.eye(len(covariance), dtype=torch.float64)


def _of_known(covariance: Tensor, present: Tensor) -> Tensor:
    """The covariance of each row's known features, and the identity of the others, (n, D, D).

    The others then do not enter the inverse.
    """
    return present[:, :, None] * covariance * present[:, None, :] + torch.diag_embed(1 - present)

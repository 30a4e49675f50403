"""Parameters with a support: positive numbers, intervals, probabilities, ordered numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Transform, biject_to, constraints
from torch.distributions.constraints import Constraint

from pushforward.bijections.base import Bijection


class _Ordered(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value[..., 1:] > value[..., :-1]).all(-1)


ordered = _Ordered()
"""Vectors whose entries increase, a constraint that torch lacks."""


@biject_to.register(_Ordered)
class _OrderedTransform(Transform):
    """x₁ = z₁, x_k = x_{k-1} + exp(z_k)."""

    domain = constraints.real_vector
    codomain = ordered
    bijective = True

    def __init__(self, constraint: Constraint = ordered):
        super().__init__()

    def _call(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., :1], x[..., 1:].exp()], -1).cumsum(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.cat([y[..., :1], y.diff(dim=-1).log()], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x[..., 1:].sum(-1)


class Constrained(Bijection):
    """From the whole space into a support, by the map that torch registers for each constraint.

    The vector is made of blocks; each block of x has a constraint and a number of coordinates. A simplex of K
    coordinates comes from K - 1 free ones, and its log_det and density are with respect to its first K - 1.

    Arguments:
        blocks: pairs of a constraint of `torch.distributions.constraints`, or `ordered` of this module, and its number
            of coordinates, in their order; a constraint alone has one coordinate.

    Attributes:
        features: D, the number of free coordinates, that of z.
        constrained_features: the number of coordinates of x.

    Raises:
        ValueError: no block, or a constraint that torch has no map for.

    Cost: 1 pass in both directions.

    Example:
        >>> from torch.distributions import constraints
        >>> support = Constrained([constraints.positive, (constraints.simplex, 3)])
        >>> support.features, support.constrained_features
        (3, 4)
        >>> support(torch.zeros(3))[0]
        tensor([1.0000, 0.3333, 0.3333, 0.3333])
    """

    def __init__(self, blocks: Sequence[Constraint | tuple[Constraint, int]]):
        super().__init__()
        if not blocks:
            raise ValueError("Constrained needs at least one block.")
        self.blocks = [block if isinstance(block, tuple) else (block, 1) for block in blocks]
        self.constrained_sizes = [size for _, size in self.blocks]
        # The maps are looked up at each use: they hold references to their inverses, which cannot be pickled.
        try:
            self.free_sizes = [int(biject_to(c).inverse_shape(torch.Size([size]))[0]) for c, size in self.blocks]
        except NotImplementedError as error:
            raise ValueError(f"torch registers no map into the support of this constraint: {error}.") from error
        self.features = sum(self.free_sizes)
        self.constrained_features = sum(self.constrained_sizes)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map free coordinates, (*batch, D), into the support."""
        self.check_event(z)
        parts, log_det = [], z.new_zeros(z.shape[:-1])
        for (constraint, _), free in zip(self.blocks, z.split(self.free_sizes, -1), strict=True):
            transform = biject_to(constraint)
            parts.append(transform(free))
            log_det = log_det + _total(transform.log_abs_det_jacobian(free, parts[-1]), log_det)
        return torch.cat(parts, -1), log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the support's coordinates back to free ones."""
        if x.shape[-1:] != (self.constrained_features,):
            raise ValueError(f"Constrained expected shape (..., {self.constrained_features}), got {tuple(x.shape)}.")
        parts, log_det = [], x.new_zeros(x.shape[:-1])
        for (constraint, _), value in zip(self.blocks, x.split(self.constrained_sizes, -1), strict=True):
            transform = biject_to(constraint)
            parts.append(transform.inv(value))
            log_det = log_det - _total(transform.log_abs_det_jacobian(parts[-1], value), log_det)
        return torch.cat(parts, -1), log_det


def _total(log_det: Tensor, like: Tensor) -> Tensor:
    """The sum over a block of a transform that works number by number; others have summed already."""
    return log_det.sum(-1) if log_det.dim() > like.dim() else log_det

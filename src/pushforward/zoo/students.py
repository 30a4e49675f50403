"""A student for a teacher: fast to sample, in the order and the units of the teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.bijections import LU, Autoregressive, Standardized
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.support.modules import device_of, frozen
from pushforward.support.seeding import seeded
from pushforward.zoo.registry import build
from pushforward.zoo.units import in_units_of, inner_context, standardized

LAYERS, HIDDEN, BINS = 3, (128, 128), 8
# Draws of a teacher, to find the units of its data.
DRAWS_FOR_UNITS = 4096


def student_for(
    teacher: Flow,
    *,
    layers: int = LAYERS,
    hidden: tuple[int, ...] = HIDDEN,
    bins: int = BINS,
    context: Tensor | None = None,
    seed: int = 0,
) -> Flow:
    """An inverse autoregressive spline flow, untrained, for `pushforward.distill` to teach.

    It has the teacher's order of features where the teacher has one, LU layers where the teacher has them, and the
    teacher's base if it has a name. If the teacher was made by `standardized` or `gaussianized`, the student gets
    copies of its maps into the units of the data; otherwise it is standardized by draws of the teacher.

    Arguments:
        teacher: the flow to be distilled.
        layers: of splines, default 3.
        hidden: widths of each layer's hidden layers, default (128, 128).
        bins: pieces of each spline, default 8.
        context: rows to draw contexts from, (N, C), for a conditional teacher that is not standardized.
        seed: of the weights, and of the draws of the teacher.

    Returns:
        A flow that `pushforward.save` can write.

    Cost: of the student, sample 1 pass, log_prob `layers` times D steps.

    Example:
        >>> import pushforward as pf
        >>> teacher = pf.standardized(pf.maf(3, layers=1), 5 + 2 * torch.randn(100, 3))
        >>> student = student_for(teacher)
        >>> student.bijection.cost, torch.equal(student.bijection.data.shift, teacher.bijection.data.shift)
        (Cost(forward='1 pass', inverse='3 × D steps'), True)
    """
    autoregressive = [module for module in teacher.modules() if isinstance(module, Autoregressive)]
    orders = {tuple(found) for layer in autoregressive if (found := layer.order()) is not None}
    order: str | tuple[int, ...] = orders.pop() if len(orders) == 1 else "alternating"
    # Any other base, such as kernels, is learned by mixing layers after a normal one.
    base = next((name for name, kind in BASES.items() if isinstance(teacher.base, kind)), None)
    mixes = base is None or any(isinstance(module, LU) for module in teacher.modules())
    linear, base = "lu" if mixes and teacher.features > 1 else "none", base or "normal"
    with seeded(seed):
        student = build(
            {
                "architecture": "nsf",
                "features": teacher.features,
                "context": inner_context(teacher),
                "kind": "inverse_autoregressive",
                "layers": layers,
                "hidden": hidden,
                "bins": bins,
                "linear": linear,
                "base": base,
                "order": order,
            }
        ).to(teacher.base.reference.dtype)
    if isinstance(teacher.bijection, Standardized):
        return in_units_of(student, teacher)
    with frozen(teacher), seeded(seed, device_of(teacher)):
        rows = None
        if context is not None:
            rows = context[torch.randint(len(context), (DRAWS_FOR_UNITS,)).to(context.device)]
        x = teacher.sample((DRAWS_FOR_UNITS,) if rows is None else (), rows)
    return standardized(student, x, rows)

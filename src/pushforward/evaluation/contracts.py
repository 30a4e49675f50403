"""The contracts that every map keeps, one function each: it measures an error and raises if that is too large.

A direction is "forward" (z → x) or "inverse" (x → z); values are (*batch, D), contexts (*batch, C) or None.
"""

import copy
import pickle
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from pushforward.bijections.base import Bijection

DIRECTIONS = ("forward", "inverse")
AnyModule = TypeVar("AnyModule", bound=nn.Module)


class ContractError(AssertionError):
    """A map breaks a contract; the message says which one, and by how much."""


@torch.no_grad()
def randomized(module: AnyModule, seed: int = 0, scale: float = 1.0) -> AnyModule:
    """Return a copy in float64 and evaluation mode with every parameter filled with normal noise.

    Arguments:
        module: left as it is.
        seed: of the noise.
        scale: of the output of a matrix row for inputs of size 1: its noise is scale / √(row length). Vectors get
            0.3 · scale.
    """
    generator = torch.Generator().manual_seed(seed)
    copied = copy.deepcopy(module).double().eval()
    for parameter in copied.parameters():
        deviation = scale / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.3 * scale
        parameter.copy_(deviation * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return copied


def apply(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Map a value in a direction; return the result and the log_det of that map."""
    return bijection(value, context) if direction == "forward" else bijection.inverse(value, context)


def opposite(direction: str) -> str:
    """The other direction."""
    return "inverse" if direction == "forward" else "forward"


def round_trip(
    bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None, tolerance: float = 1e-9
) -> float:
    """Mapping a value and mapping the result back gives the value, in the shapes of the value and of its batch."""
    mapped, log_det = apply(bijection, direction, value, context)
    batch = value.shape[:-1]
    if mapped.shape[:-1] != batch or log_det.shape != batch:
        raise ContractError(
            f"for a value of shape {tuple(value.shape)} the result has shape {tuple(mapped.shape)} and log_det "
            f"{tuple(log_det.shape)}: expected the batch {tuple(batch)} in both"
        )
    back, _ = apply(bijection, opposite(direction), mapped, context)
    return _within(_difference(back, value), tolerance, "value and value after the round trip differ")


def opposite_log_dets(
    bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None, tolerance: float = 1e-9
) -> float:
    """The log_dets of the two directions at one point are negatives of each other."""
    mapped, log_det = apply(bijection, direction, value, context)
    _, log_det_back = apply(bijection, opposite(direction), mapped, context)
    return _within(_difference(-log_det_back, log_det), tolerance, "the log_dets of the two directions differ in size")


def jacobian_log_det(
    bijection: Bijection, direction: str, event: Tensor, context: Tensor | None = None, tolerance: float = 1e-9
) -> float:
    """log_det is that of the Jacobian by automatic differentiation, at one event (D,)."""
    jacobian = torch.func.jacrev(lambda v: apply(bijection, direction, v, context)[0])(event)
    truth = torch.linalg.slogdet(jacobian).logabsdet.detach()
    log_det = apply(bijection, direction, event, context)[1].detach()
    return _within(
        _difference(log_det, truth), tolerance, f"log_det is {float(log_det):.6g}, by autograd {float(truth):.6g}"
    )


def finite(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """Results, log_dets and all gradients are finite."""
    value = value.detach().clone().requires_grad_()
    mapped, log_det = apply(bijection, direction, value, context)
    for name, tensor in (("the result", mapped), ("log_det", log_det)):
        _require_finite(tensor, name)
    bijection.zero_grad(set_to_none=True)
    if (mapped.sum() + log_det.sum()).requires_grad:
        (mapped.sum() + log_det.sum()).backward()
    for name, tensor in (("the value", value), *bijection.named_parameters()):
        if tensor.grad is not None:
            _require_finite(tensor.grad, f"the gradient of {name}")
    return 0.0


def gradients_reach_parameters(
    bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None
) -> float:
    """Every parameter has a gradient that is not zero throughout."""
    bijection.zero_grad(set_to_none=True)
    mapped, log_det = apply(bijection, direction, value, context)
    # With equal weights, sums could cancel.
    weights = torch.linspace(0.3, 1.7, mapped.shape[-1], dtype=mapped.dtype, device=mapped.device)
    loss = (mapped * weights).sum() + log_det.sum()
    if loss.requires_grad:
        loss.backward()
    for name, parameter in bijection.named_parameters():
        if parameter.requires_grad and (parameter.grad is None or not bool((parameter.grad != 0).any())):
            raise ContractError(f"no gradient reaches the parameter {name!r}")
    return 0.0


def gradients_are_right(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """Gradients of result and log_det with respect to value and context are those of finite differences."""
    inputs = [value.detach().clone().requires_grad_()]
    if context is not None:
        inputs.append(context.detach().clone().requires_grad_())
    try:
        torch.autograd.gradcheck(lambda v, c=None: apply(bijection, direction, v, c), inputs)
    except GradcheckError as error:
        raise ContractError(f"gradients are not those of finite differences: {str(error).splitlines()[0]}") from None
    return 0.0


def keeps_precision(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """The result and its log_det have the dtype that came in, and in float64 the digits of it."""
    mapped, log_det = apply(bijection, direction, value, context)
    for name, tensor in (("the result", mapped), ("log_det", log_det)):
        if tensor.dtype != value.dtype:
            raise ContractError(f"{name} is {tensor.dtype} for a value of {value.dtype}")
        # Numbers that passed through float32 have only its digits.
        if value.dtype == torch.float64 and tensor.numel() > 3 and bool((tensor == tensor.float().double()).all()):
            changed = bool((tensor != tensor.round()).any())
            same = tensor.shape == value.shape and bool((tensor == value).all())
            if changed and not same:
                raise ContractError(f"{name} has only the digits of float32 for a value of float64")
    return 0.0


def batch_equals_loop(
    bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None, tolerance: float = 1e-12
) -> float:
    """Each row of a batch, (rows, D), is mapped as it would be alone."""
    mapped, log_det = apply(bijection, direction, value, context)
    worst = 0.0
    for row in range(len(value)):
        alone, alone_log_det = apply(bijection, direction, value[row], None if context is None else context[row])
        worst = max(worst, _difference(mapped[row], alone), _difference(log_det[row], alone_log_det))
    return _within(worst, tolerance, "a row of a batch differs from the same row alone")


def context_broadcasts(
    bijection: Bijection, direction: str, value: Tensor, context: Tensor, tolerance: float = 1e-10
) -> float:
    """A context (C,) gives a whole batch, (*batch, D), the results that its copies give."""
    mapped, log_det = apply(bijection, direction, value, context)
    full = context.expand(*value.shape[:-1], context.shape[-1])
    expected, expected_log_det = apply(bijection, direction, value, full)
    if mapped.shape != expected.shape or log_det.shape != expected_log_det.shape:
        raise ContractError(f"with one context row the result has shape {tuple(mapped.shape)}, with its copies another")
    worst = max(_difference(mapped, expected), _difference(log_det, expected_log_det))
    return _within(worst, tolerance, "one context row and its copies give different results")


def context_matters(bijection: Bijection, direction: str, value: Tensor, context: Tensor) -> float:
    """Another context gives another result."""
    mapped, _ = apply(bijection, direction, value, context)
    other, _ = apply(bijection, direction, value, context + 1)
    if _difference(mapped, other) == 0:
        raise ContractError("the result does not depend on the context")
    return 0.0


def copies_agree(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """A deep copy, a pickled copy, and a copy given the saved state give the same numbers."""
    for name in _loose_tensors(bijection):
        raise ContractError(
            f"the tensor {name!r} is neither parameter nor buffer: it is not saved and does not move with the module"
        )
    expected = apply(bijection, direction, value, context)
    restored = randomized(bijection, seed=12345)
    restored.load_state_dict(bijection.state_dict())
    copies = {
        "a deep copy": copy.deepcopy(bijection),
        "a pickled copy": pickle.loads(pickle.dumps(bijection)),
        "a copy with the saved state": restored,
    }
    for name, copied in copies.items():
        for tensor, reference in zip(apply(copied, direction, value, context), expected, strict=True):
            if not torch.equal(tensor, reference):
                raise ContractError(f"{name} gives different numbers")
    return 0.0


def compiles(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """torch.compile compiles the direction to one graph, which gives the same numbers."""
    torch.compiler.reset()
    compiled = torch.compile(lambda v, c: apply(bijection, direction, v, c), fullgraph=True, backend="aot_eager")
    pairs = zip(compiled(value, context), apply(bijection, direction, value, context), strict=True)
    return _within(max(_difference(a, b) for a, b in pairs), 1e-9, "the compiled map gives different numbers")


def is_not_the_identity(bijection: Bijection, value: Tensor, context: Tensor | None = None) -> float:
    """The map changes its input."""
    mapped, _ = bijection(value, context)
    if mapped.shape == value.shape and float((mapped - value).detach().abs().max()) <= 1e-2:
        raise ContractError("the map is the identity, or very nearly")
    return 0.0


def refuses_other_sizes(bijection: Bijection, direction: str, value: Tensor, context: Tensor | None = None) -> float:
    """A value with one feature too many is an error."""
    try:
        apply(bijection, direction, torch.cat([value, value[..., :1]], -1), context)
    except (ValueError, RuntimeError):
        return 0.0
    raise ContractError("a value with one feature too many is accepted without an error")


def depends_as_declared(
    bijection: Bijection,
    direction: str,
    declared: Tensor,
    values: Tensor,
    context: Tensor | None = None,
    exactly: bool = True,
) -> float:
    """Output i depends on input j only where declared[i, j], (D, D), at several values, (rows, D); or exactly there."""
    jacobian = torch.func.jacrev(lambda v: apply(bijection, direction, v, context)[0])
    seen = torch.stack([jacobian(value) for value in values]).abs().amax(0).to(declared.device)
    missing = declared & (seen == 0) if exactly else torch.zeros_like(declared)
    for problem, where in (("does not depend", missing), ("depends", ~declared & (seen != 0))):
        if bool(where.any()):
            output, given = where.nonzero()[0].tolist()
            raise ContractError(
                f"output {output} {problem} on input {given} ({int(where.sum())} of {declared.numel()} entries wrong)"
            )
    return 0.0


def _difference(value: Tensor, reference: Tensor) -> float:
    """The largest difference, relative to the reference where that is above 1; infinite if a value is not finite."""
    if value.numel() == 0:
        return 0.0
    difference = (value - reference).detach().abs() / reference.detach().abs().clamp_min(1)
    return float(difference.nan_to_num(torch.inf).max())


def _within(error: float, tolerance: float, sentence: str) -> float:
    if not error <= tolerance:
        raise ContractError(f"{sentence} (by {error:.2g}, allowed {tolerance:.0e})")
    return error


def _require_finite(tensor: Tensor, name: str) -> None:
    if not bool(tensor.isfinite().all()):
        raise ContractError(f"{name} is not finite")


def _loose_tensors(module: nn.Module) -> Iterator[str]:
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                yield f"{path}.{name}".lstrip(".")

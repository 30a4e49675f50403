"""Log-likelihoods of many rows, a chunk at a time."""

from __future__ import annotations

import copy
import math
import warnings
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection
from pushforward.errors import AccuracyWarning, InputError
from pushforward.support.modules import device_of, frozen
from pushforward.support.seeding import seeded
from pushforward.training.rows import Rows, as_matrix, check_shapes, in_dtype_of

if TYPE_CHECKING:
    from pushforward.flow import Density

CHUNK_ROWS = 4096
# Devices whose numbers have no more digits than float32.
WITHOUT_FLOAT64 = ("mps",)
# Two solutions of an equation may agree at a row by chance, as one in so many of its batch does.
CHANCE = 100


def evaluate(flow: Density, x: Any, context: Any = None, *, batch_size: int = CHUNK_ROWS) -> Tensor:
    """Return the log-density of each row under a flow, without gradients and in eval mode.

    Arguments:
        flow: The density.
        x: Rows (n, features): a tensor, an array or a data frame.
        context: Context rows (n, context features) of a conditional flow.
        batch_size: Rows evaluated at a time.

    Returns:
        log p(x | context) in nats, (n,), on the device of x.

    Raises:
        InputError: Shapes do not fit, or x or context has entries that are not finite.

    >>> import pushforward
    >>> flow = pushforward.maf(features=2)
    >>> evaluate(flow, torch.zeros(5, 2)).shape
    torch.Size([5])
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; it is {batch_size}.")
    x, _ = as_matrix(x, "x", gaps=flow.allows_gaps)
    context = None if context is None else as_matrix(context, "context", gaps=flow.context_allows_gaps)[0]
    check_shapes(x, context, flow.features, flow.context_features)
    x, context = in_dtype_of(flow, x, "x"), None if context is None else in_dtype_of(flow, context, "context")
    device = device_of(flow)
    with frozen(flow), torch.no_grad():
        parts = [flow.log_prob(*(t.to(device) for t in batch)) for batch in Rows(x, context).chunks(batch_size)]
    return torch.cat(parts).to(x.device) if parts else x.new_empty(0)


@runtime_checkable
class WithNoise(Protocol):
    """A density of images with noise, which a seed chooses in evaluation mode."""

    noise_seed: int


def has_error(flow: Any) -> bool:
    """Whether log-densities of a flow, a module, have errors beyond rounding: of a solver, or of random estimates.

    >>> import pushforward
    >>> has_error(pushforward.maf(features=2)), has_error(pushforward.continuous(features=2))
    (False, True)
    """
    return any(bijection.approximates or bijection.estimates for bijection in _maps_of(flow)) or bool(_noisy(flow))


def log_prob_with_error(
    flow: Density, x: Any, context: Any = None, *, batch_size: int = CHUNK_ROWS, repeats: int = 16
) -> tuple[Tensor, Tensor]:
    """Return the log-density of each row with an error bar, without gradients and in eval mode.

    Maps that solve an equation to a tolerance solve it once more, to a finer one and in float64, whose value is
    returned: see `Bijection.refine`. The error is the difference of the two at the row, with the rounding of the first
    one, and a hundredth of the largest one of its batch, since both may agree at a row by chance. Where a
    log-determinant is a random estimate, or log-densities are those of images with noise, values are means of `repeats`
    estimates, whose standard error is added in quadrature. Other flows have no error but rounding: theirs is 0.

    Of images (`pushforward.dequantized`) that is the mean of a bound, E log p(x + v) - log q(v | x), which lies below
    log P(x): the error is that of the mean, and does not say how far below. `log_prob_by_importance` comes nearer.
    Averages over points that are fixed with a model, as of discrete columns of tables, are taken for what they are.

    Arguments:
        flow: The density, a module.
        x: Rows (n, features): a tensor, an array or a data frame.
        context: Context rows (n, context features) of a conditional flow.
        batch_size: Rows evaluated at a time.
        repeats: Estimates of a random log-determinant, or noises of an image, at least two.

    Returns:
        log p(x | context) and its error in nats, (n,) each, on the device of x; float64 where an equation is solved.

    Raises:
        InputError: As for `evaluate`; fewer than two repeats.

    Cost: Two to eight times that of `evaluate`, and `repeats` times as much for random estimates.

    >>> import pushforward
    >>> value, error = log_prob_with_error(pushforward.maf(features=2), torch.zeros(5, 2))
    >>> value.shape, float(error.max())
    (torch.Size([5]), 0.0)
    """
    if repeats < 2:
        raise InputError(f"repeats must be at least 2; it is {repeats}.")
    finer: Any = copy.deepcopy(flow)
    for bijection in _maps_of(finer):
        bijection.refine()
    noisy = _noisy(finer)
    estimates = bool(noisy) or any(bijection.estimates for bijection in _maps_of(finer))
    # A seed draws other numbers in another precision.
    if has_error(flow) and not estimates and device_of(flow).type not in WITHOUT_FLOAT64:
        finer = finer.double()
    # Both solutions are compared at the noise of the flow itself, the first of several.
    first = {density: density.noise_seed for density in noisy}
    seeds = range(repeats if estimates else 1)

    def evaluated(one: Density, seed: int) -> Tensor:
        for density in noisy:
            density.noise_seed = first[density] + seed
        with seeded(seed, device_of(one)), warnings.catch_warnings():
            # Errors are measured here, row by row.
            warnings.simplefilter("ignore", AccuracyWarning)
            return evaluate(one, x, context, batch_size=batch_size)

    values = torch.stack([evaluated(finer, seed) for seed in seeds])
    difference = (values[0] - evaluated(flow, 0)).abs()
    if len(difference):
        largest = torch.cat([part.amax().expand(len(part)) for part in difference.split(batch_size)])
        difference = difference + largest / CHANCE
    spread = values.std(0) / repeats**0.5 if estimates else torch.zeros_like(difference)
    return values.mean(0), torch.hypot(difference, spread)


def _maps_of(flow: nn.Module) -> list[Bijection]:
    return [module for module in flow.modules() if isinstance(module, Bijection)]


def _noisy(flow: nn.Module) -> list[WithNoise]:
    return [module for module in flow.modules() if isinstance(module, WithNoise)]


class HeldOut:
    """The mean log-likelihood of held-out rows in nats per row: rows count by their weights.

    Arguments:
        objective: A module that gives the negative log-likelihood of each row.
        rows: The held-out rows.
        device: Where the module is.
    """

    def __init__(self, objective: nn.Module, rows: Rows, device: torch.device) -> None:
        self.objective = objective
        self.rows = rows
        self.device = device

    def __call__(self) -> float:
        """Return the mean.

        Raises:
            FloatingPointError: The mean is not finite; the message names a row at fault.
        """
        losses = [
            self.objective(*(t if t is None else t.to(self.device) for t in batch))
            for batch in self.rows.chunks(CHUNK_ROWS)
        ]
        # On the CPU, since not every device has float64.
        values = -torch.cat(losses).cpu().double()
        mean = float(values.mean())
        if not math.isfinite(mean):
            bad = (~values.isfinite()).nonzero()[:, 0]
            row = self.rows.most_extreme(self.rows.rows[bad])
            raise FloatingPointError(f"{len(bad)} of {len(values)} rows have none, such as {row}")
        return mean

"""Log-likelihoods of many rows, a chunk at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.modules import device_of, frozen
from pushforward.training.rows import Rows, as_matrix, check_shapes, in_dtype_of

if TYPE_CHECKING:
    from pushforward.flow import Density

CHUNK_ROWS = 4096


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

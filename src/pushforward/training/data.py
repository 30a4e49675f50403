"""The rows of a fit: those to train on and those held out, checked and in the flow's dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.training.batches import StreamedRows
from pushforward.training.copies import copies_of
from pushforward.training.rows import Rows, as_matrix, as_weights, check_shapes, in_dtype_of
from pushforward.training.splitting import split_table

if TYPE_CHECKING:
    from pushforward.flow import Density

# On CUDA, data up to this many bytes are moved once instead of batch by batch.
LARGEST_RESIDENT_BYTES = 2**30


@dataclass(frozen=True)
class Data:
    """The rows to train on and the held-out rows.

    Arguments:
        training: The rows to train on, or a sample of them if they are streamed.
        held_out: The held-out rows.
        origin: What a checkpoint compares: matrices, or a hash of them, by name.
        counts: The numbers of training and held-out rows.
    """

    training: Rows
    held_out: Rows
    origin: dict[str, Tensor | str | None]
    counts: tuple[int, int]

    def ready_for(self, flow: Density, device: torch.device) -> tuple[Rows, Rows]:
        """Return both in the flow's dtype, and on the device if it is CUDA and the matrices are small."""
        training = _ready(self.training, flow, device)
        if self.held_out.x is self.training.x:
            return training, training.with_rows(self.held_out.rows)
        return training, _ready(self.held_out, flow, device)


def streamed_data(flow: Density, x: StreamedRows) -> Data:
    """Check rows that are streamed from a file."""
    check_shapes(x.sample.x, x.sample.context, flow.features, flow.context_features)
    return Data(x.sample, x.held_out, {"x": x.digest}, (x.rows, len(x.held_out)))


def split_data(
    flow: Density,
    x: Any,
    context: Any,
    weights: Any,
    fraction: float,
    seed: int,
    split: tuple[Tensor, Tensor] | None = None,
) -> Data:
    """Check rows, and hold out a random share of them, or those of a split."""
    x, context, names = _checked(flow, x, context, "x")
    weights = as_weights(weights, len(x), "weights")
    matrix = x if context is None else torch.cat([x, context], 1)
    chosen = {} if split is None else {"held_out": split[1]}
    if split is None:
        rows = matrix.cpu() if matrix.element_size() >= 4 else matrix.cpu().float()
        split = split_table(matrix, fraction, seed, weights, copies=copies_of(rows.numpy()))
    training_rows, held_out_rows = split
    training = Rows(x, context, training_rows, "x", columns=names[0], context_columns=names[1], weights=weights)
    origin = {"x": x, "context": context, **chosen, **_weights_of(training, "weights")}
    return Data(training, training.with_rows(held_out_rows), origin, (len(training_rows), len(held_out_rows)))


def data_with_validation(flow: Density, given: tuple[Any, Any, Any], validation: tuple[Any, Any, Any]) -> Data:
    """Check rows, and held-out rows beside them: each x, context and weights."""
    x, context, names = _checked(flow, given[0], given[1], "x")
    weights = as_weights(given[2], len(x), "weights")
    held_out_x, held_out_context, _ = _checked(flow, validation[0], validation[1], "validation", names)
    if len(x) == 0 or len(held_out_x) == 0:
        raise InputError(f"x has {len(x)} rows and validation {len(held_out_x)}; both need at least one.")
    held_out_weights = as_weights(validation[2], len(held_out_x), "validation_weights")
    rows, held_out_rows = _weighted(weights, "weights"), _weighted(held_out_weights, "validation_weights")
    training = Rows(x, context, rows, "x", columns=names[0], context_columns=names[1], weights=weights)
    held_out = Rows(
        held_out_x,
        held_out_context,
        held_out_rows,
        "validation",
        columns=names[0],
        context_columns=names[1],
        weights=held_out_weights,
    )
    origin = {
        "x": x,
        "context": context,
        "validation": held_out_x,
        "validation_context": held_out_context,
        **_weights_of(training, "weights"),
        **_weights_of(held_out, "validation_weights"),
    }
    return Data(training, held_out, origin, (len(training), len(held_out)))


def _checked(flow: Density, x: Any, context: Any, name: str, names: tuple[Any, Any] = (None, None)) -> tuple:
    """x and context as matrices that fit the flow, and the names of their columns, if they have any."""
    # A density of the user's own, such as that of a table, may know what to do with missing values.
    gaps = flow.allows_gaps
    x, columns = as_matrix(x, name, names[0], gaps)
    context_columns = None
    if context is not None:
        called = "context" if name == "x" else f"{name}_context"
        context, context_columns = as_matrix(context, called, names[1], flow.context_allows_gaps)
    check_shapes(x, context, flow.features, flow.context_features, "" if name == "x" else name)
    return x, context, (columns, context_columns)


def _weighted(weights: Tensor | None, name: str) -> Tensor | None:
    """The rows whose weight is above 0, or None for all."""
    if weights is None:
        return None
    rows = weights.nonzero()[:, 0]
    if not len(rows):
        raise InputError(f"All {name} are 0; at least one must be above 0.")
    return rows


def _weights_of(rows: Rows, name: str) -> dict[str, Tensor]:
    """Weights are compared only if there are any, so that checkpoints without weights stay what they were."""
    return {} if rows.weights is None else {name: rows.weights}


def _ready(rows: Rows, flow: Density, device: torch.device) -> Rows:
    def moved(matrix: Tensor | None, name: str) -> Any:
        if matrix is None:
            return None
        matrix = in_dtype_of(flow, matrix, name)
        return matrix.to(device) if device.type == "cuda" and matrix.nbytes <= LARGEST_RESIDENT_BYTES else matrix

    context = "context" if rows.name == "x" else f"{rows.name}_context"
    return rows.with_matrices(moved(rows.x, rows.name), moved(rows.context, context))

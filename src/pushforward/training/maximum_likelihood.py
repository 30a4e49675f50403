"""Fit a flow to data by maximum likelihood."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.training.checkpoint import checkpoint_for
from pushforward.training.history import History
from pushforward.training.likelihood import HeldOut
from pushforward.training.loop import train
from pushforward.training.objectives import MaximumLikelihood
from pushforward.training.range_check import warn_of_tails
from pushforward.training.rows import (
    ShuffledBatches,
    Table,
    as_matrix,
    as_weights,
    check_shapes,
    column_of,
    in_dtype_of,
)
from pushforward.training.settings import Settings, choose_device
from pushforward.training.streamed import StreamedBatches, StreamedRows

if TYPE_CHECKING:
    from pushforward.flow import Flow

# Without limits a run ends after this many passes, or this many steps where a pass takes few of them.
DEFAULT_EPOCHS = 100
DEFAULT_LEAST_STEPS = 2000
# A held-out row costs about a third of a training row, which also has a backward pass.
HELD_OUT_ROW_COST = 1 / 3
LARGEST_EVALUATION_SHARE = 0.1
# On CUDA, data up to this many bytes are moved once instead of batch by batch.
LARGEST_RESIDENT_BYTES = 2**30
# Held-out rows farther out than this, in ranges of the training rows, are trained on instead.
RANGES_TO_BE_FAR = 10
# Enough to tell a share of one in a hundred.
ROWS_TO_LOOK_AT = 10_000


def fit(
    flow: Flow,
    x: Any,
    context: Any = None,
    *,
    weights: Any = None,
    validation: Any = None,
    validation_context: Any = None,
    validation_weights: Any = None,
    validation_fraction: float = 0.1,
    batch_size: int = 512,
    epochs: int | None = None,
    max_steps: int | None = None,
    max_time: float | None = None,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-6,
    warmup_steps: int = 100,
    gradient_clip: float = 5.0,
    average_decay: float | None = 0.999,
    patience: int | None = 20,
    evaluate_every: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    progress: bool | None = None,
    log_path: str | Path | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> History:
    """Fit a flow to the rows of x by maximum likelihood, in place, and leave it with the best weights in eval mode.

    AdamW with linear warm-up and a cosine down to zero at the end of the run, clipped gradients, an exponential moving
    average of the weights, and early stopping. The best weights are the averaged ones with the highest held-out
    log-likelihood (nats per row; higher is better). The flow stays on the device it was trained on. With the same seed
    a run on the CPU repeats exactly, unless `max_time` is given: then its course depends on the machine's speed. The
    caller's random state is left untouched. Ctrl-C ends the run and keeps the best weights; a second one is raised.

    A batch whose loss or gradient is not finite changes nothing: a RuntimeWarning names the row, column and module at
    fault, the weights go back to the last good ones, the learning rate is halved, and training goes on.

    Arguments:
        flow: The flow to train.
        x: Rows (n, features): a tensor, an array or a data frame. They are trained on in the widest dtype that the
            flow holds; where that rounds a column coarsely, a RuntimeWarning says so. Or rows that are streamed from a
            file, with their context and their held-out rows: `pushforward.table_models.streaming.stream_table`.
        context: Context rows (n, context features), for a conditional flow.
        weights: Weights of the rows (n,), not negative, by which they count in the split, the loss and the held-out
            value; rows of weight 0 are left out. Default all alike.
        validation: Held-out rows (m, features); without them a random share of x is held out.
        validation_context: Context rows (m, context features) of `validation`.
        validation_weights: Weights (m,) of `validation`.
        validation_fraction: Share of x to hold out when `validation` is not given, between 0 and 1. Rows more than ten
            times the others' range away from them are trained on, whatever the draw.
        batch_size: Rows in a training batch.
        epochs: Most passes over the training rows. Without `epochs`, `max_steps` and `max_time`: 100 passes, but at
            least 2000 steps.
        max_steps: Most steps.
        max_time: Most seconds from the first batch to the last evaluation; the learning rate reaches zero in time.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay of matrices; vectors such as biases and log-scales never decay.
        warmup_steps: Steps of linear warm-up, at most a tenth of the run.
        gradient_clip: Largest norm of the gradient; math.inf for no clipping.
        average_decay: Decay of the weight average; None to evaluate and keep the weights themselves.
        patience: Evaluations in a row without a new best before the run stops early; None for never.
        evaluate_every: Steps between evaluations. By default about once a pass, but every 20 to 1000 steps, at least
            ten times a run, and less often where evaluation would take more than about a tenth of the time. With
            `max_time` evaluations also come at least twenty times a run, within the same bound.
        seed: Seed of the split, the batches, and any noise in the flow.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda" or "mps".
        precision: "32-true" (the flow's own dtype), "64-true" (makes the flow float64) or "bf16-mixed" (autocast of
            the flow's operations; data, weights and held-out values are not rounded).
        progress: Whether to show a progress bar on standard error; None shows one in a terminal after two seconds.
        log_path: CSV file (overwritten) with a line per evaluation: step, epoch, seconds, train_nats, held_out_nats,
            learning_rate and gradient_norm, means since the line before where they vary from step to step.
        checkpoint: File that the state of the run is written to about every 30 seconds and at the end, atomically; an
            older one is overwritten. A checkpoint that cannot be written is a RuntimeWarning, the run goes on.
        resume: Go on from `checkpoint` if that file exists, and begin anew if it does not. On the CPU the run ends with
            just the weights that it would have had without the interruption; seconds spent before it count towards
            `max_time`. After a finished run its result is given at once.

    Returns:
        The history of the run.

    Raises:
        InputError: Data or options cannot be used; the message says which, naming the first row and column at fault.
            Or the checkpoint is damaged, or was begun with other data or options.
        TrainingError: Losses or gradients were not finite in five batches; the flow has its best weights.

    >>> import pushforward
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> history = fit(pushforward.maf(features=2), x, max_steps=20)
    >>> history.rows, history.stopped
    ((450, 50), 'finished')
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; it is {batch_size}.")
    if isinstance(x, StreamedRows):
        if any(part is not None for part in (context, weights, validation, validation_context, validation_weights)):
            raise InputError("Streamed rows have their own context and held-out rows; give nothing beside them.")
        training, held_out = x.sample, x.held_out
        check_shapes(training.x, training.context, flow.features, flow.context_features)
        data: dict[str, Any] = {"x": x.digest}
        rows = (x.rows, len(held_out))
    else:
        given = (validation, validation_context, validation_weights)
        training, held_out = _tables(flow, x, context, weights, *given, validation_fraction, seed)
        data = {"x": training.x, "context": training.context}
        if validation is not None:
            data |= {"validation": held_out.x, "validation_context": held_out.context}
        # Hashed with the data only where there are any, so that checkpoints without weights stay what they were.
        data |= {
            name: table.weights
            for name, table in (("weights", training), ("validation_weights", held_out))
            if table.weights is not None and (table is training or validation is not None)
        }
        rows = (len(training), len(held_out))

    steps_per_epoch = -(-rows[0] // batch_size)
    if epochs is None and max_steps is None and max_time is None:
        epochs = max(DEFAULT_EPOCHS, -(-DEFAULT_LEAST_STEPS // steps_per_epoch))
    if evaluate_every is None:
        limits = [max_steps, None if epochs is None else epochs * steps_per_epoch]
        total = min((limit for limit in limits if limit is not None), default=None)
        evaluate_every = _steps_between_evaluations(steps_per_epoch, total, rows[1], batch_size)
    settings = Settings(
        evaluate_every=evaluate_every,
        epochs=epochs,
        max_steps=max_steps,
        max_time=max_time,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup_steps=warmup_steps,
        gradient_clip=gradient_clip,
        average_decay=average_decay,
        patience=patience,
        seed=seed,
        device=device,
        precision=precision,
        progress=progress,
        log_path=log_path,
    )

    # The first change to the flow, once nothing about the call can be wrong any more.
    if precision == "64-true":
        flow.double()
    chosen_device = choose_device(device)
    options = {"batch_size": batch_size, "validation_fraction": validation_fraction}
    kept = checkpoint_for(checkpoint, resume, flow, data, settings, chosen_device, **options)
    shared = held_out.x is training.x
    training = _for_training(training, flow, chosen_device)
    held_out = training.with_rows(held_out.rows) if shared else _for_training(held_out, flow, chosen_device)

    few, *its_context = training.take(training.rows[:: -(-len(training) // ROWS_TO_LOOK_AT)])
    warn_of_tails(
        flow,
        few.to(device_of(flow)),
        None if training.context is None else its_context[0].to(device_of(flow)),
        lambda column: column_of("x", column, training.columns),
    )

    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    fabric = make_fabric(chosen_device, precision)
    processes = (fabric.global_rank, fabric.world_size)
    batches: ShuffledBatches | StreamedBatches
    if isinstance(x, StreamedRows):
        batches = StreamedBatches(x, batch_size, seed, training.x.dtype, *processes)
    else:
        batches = ShuffledBatches(training, batch_size, seed, *processes)
    objective = MaximumLikelihood(flow)
    history = train(
        fabric,
        objective,
        batches,
        HeldOut(objective, held_out, fabric.device),
        settings,
        name_rows=batches.name_rows,
        checkpoint=kept,
    )
    history.rows = rows
    return history


def _tables(
    flow: Flow,
    x: Any,
    context: Any,
    weights: Any,
    validation: Any,
    validation_context: Any,
    validation_weights: Any,
    fraction: float,
    seed: int,
) -> tuple[Table, Table]:
    """The rows to train on and those held out, checked."""
    # A density of the user's own, such as that of a table, may know what to make of missing values.
    gaps = bool(getattr(flow, "allows_gaps", False))
    x, names = as_matrix(x, "x", gaps=gaps)
    context, context_names = (None, None) if context is None else as_matrix(context, "context")
    check_shapes(x, context, flow.features, flow.context_features)
    weights = as_weights(weights, len(x), "weights")
    if validation is None:
        for name, part in (("validation_context", validation_context), ("validation_weights", validation_weights)):
            if part is not None:
                raise InputError(f"{name} was given without validation.")
        matrix = x if context is None else torch.cat([x, context], 1)
        training_rows, held_out_rows = split_table(matrix, fraction, seed, weights)
        training = Table(x, context, training_rows, "x", names, context_names, weights=weights)
        return training, training.with_rows(held_out_rows)
    validation, _ = as_matrix(validation, "validation", names, gaps)
    if validation_context is not None:
        validation_context, _ = as_matrix(validation_context, "validation_context", context_names)
    check_shapes(validation, validation_context, flow.features, flow.context_features, "validation")
    if len(x) == 0 or len(validation) == 0:
        raise InputError(f"x has {len(x)} rows and validation {len(validation)}; both need at least one.")
    validation_weights = as_weights(validation_weights, len(validation), "validation_weights")
    some, others = _weighty(weights, "weights"), _weighty(validation_weights, "validation_weights")
    training = Table(x, context, some, "x", names, context_names, weights=weights)
    held_out = Table(
        validation, validation_context, others, "validation", names, context_names, weights=validation_weights
    )
    return training, held_out


def _weighty(weights: torch.Tensor | None, name: str) -> torch.Tensor | None:
    """The rows whose weight is above 0, or None for all."""
    if weights is None:
        return None
    rows = weights.nonzero()[:, 0]
    if not len(rows):
        raise InputError(f"All {name} are 0; at least one must be above.")
    return rows


def split_rows(
    rows: int, fraction: float, seed: int, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the rows that `fit` holds out of its training.

    Arguments:
        rows: Number of rows, at least 2.
        fraction: Share to hold out, between 0 and 1; at least one row is held out and one is not.
        seed: Seed of the draw.
        weights: Weights (rows,): the share is then of their sum, and rows of weight 0 are in neither part.

    Returns:
        The indices of the training rows, in random order, and of the held-out rows, in order.

    >>> training, held_out = split_rows(10, fraction=0.3, seed=0)
    >>> len(training), len(held_out), sorted([*training.tolist(), *held_out.tolist()]) == list(range(10))
    (7, 3, True)
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation_fraction must be between 0 and 1; it is {fraction!r}.")
    if rows < 2:
        raise InputError(f"x has {rows} row(s); at least 2 are needed, one to train on and one to hold out.")
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    if weights is not None:
        order = order[weights[order] > 0]
        if len(order) < 2:
            raise InputError(f"{len(order)} row(s) have a weight above 0; at least 2 are needed.")
        rows, total = len(order), weights[order].cumsum(0)
        held_out = min(max(int((total <= fraction * total[-1]).sum()), 1), rows - 1)
    else:
        held_out = min(max(round(rows * fraction), 1), rows - 1)
    # Sorted, so that held-out rows are read in the order of memory.
    return order[held_out:], order[:held_out].sort().values


def split_table(
    matrix: torch.Tensor, fraction: float, seed: int, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the rows to hold out as `split_rows` does, but train on rows that lie far from all others.

    Held out, such a row, a mistake perhaps, would alone decide which weights are best.

    Arguments:
        matrix: The rows, (n, columns); NaN is no number.
        fraction: As in `split_rows`.
        seed: As in `split_rows`.
        weights: As in `split_rows`.

    >>> matrix = torch.arange(10.0)[:, None]
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([1, 4, 7])
    >>> matrix[1] = 1e12
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([4, 7])
    """
    training, held_out = split_rows(len(matrix), fraction, seed, weights)
    far = far_from(matrix[held_out], matrix[training])
    if bool(far.all()):
        return training, held_out
    return torch.cat([training, held_out[far]]), held_out[~far]


def far_from(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Which rows have a number that lies more than ten times the range of the others outside it, (n,)."""
    low = others.nan_to_num(math.inf).amin(0)
    high = others.nan_to_num(-math.inf).amax(0)
    # Halved, as the difference of the largest numbers is none.
    reach = RANGES_TO_BE_FAR * (high / 2 - low / 2)
    return ((rows / 2 > high / 2 + reach) | (rows / 2 < low / 2 - reach)).any(1)


def _steps_between_evaluations(steps_per_epoch: int, total: int | None, held_out_rows: int, batch_size: int) -> int:
    """Return the default of `evaluate_every`.

    >>> _steps_between_evaluations(steps_per_epoch=176, total=17600, held_out_rows=10_000, batch_size=512)
    176
    """
    steps = min(max(steps_per_epoch, 20), 1000)
    if total is not None:
        steps = min(steps, max(total // 10, 1))
    affordable = held_out_rows * HELD_OUT_ROW_COST / (LARGEST_EVALUATION_SHARE * batch_size)
    return max(steps, int(affordable), 1)


def _for_training(table: Table, flow: Flow, device: torch.device) -> Table:
    """A table in the flow's dtype, and on the device if it is CUDA and the matrices are small."""

    def moved(matrix: torch.Tensor | None, name: str) -> Any:
        if matrix is None:
            return None
        matrix = in_dtype_of(flow, matrix, name)
        return matrix.to(device) if device.type == "cuda" and matrix.nbytes <= LARGEST_RESIDENT_BYTES else matrix

    context = "context" if table.name == "x" else f"{table.name}_context"
    return table.with_matrices(moved(table.x, table.name), moved(table.context, context))

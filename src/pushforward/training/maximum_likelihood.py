"""Fit a flow to data by maximum likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from pushforward.errors import InputError
from pushforward.support.devices import choose_device
from pushforward.support.modules import check_module, device_of
from pushforward.training.batches import ShuffledBatches, StreamedBatches, StreamedRows
from pushforward.training.checkpoint import checkpoint_for
from pushforward.training.data import data_with_validation, split_data, streamed_data
from pushforward.training.flow_matching import check_objective, cost_of_held_out, held_out_for, objective_for
from pushforward.training.history import History
from pushforward.training.loop import train
from pushforward.training.range_check import contexts_compared, warn_of_tails
from pushforward.training.rows import Rows, column_of
from pushforward.training.settings import Settings, TrainingOptions, settings_from

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.flow import Density

# Without limits a run ends after this many passes, or this many steps if a pass takes few of them.
DEFAULT_EPOCHS = 100
DEFAULT_LEAST_STEPS = 2000
# A held-out row costs about a third of a training row, which also has a backward pass.
HELD_OUT_ROW_COST = 1 / 3
LARGEST_EVALUATION_SHARE = 0.1
# Enough rows to estimate a share of one in a hundred.
ROWS_TO_CHECK = 10_000


def fit(
    flow: Density,
    x: Any,
    context: Any = None,
    *,
    weights: Any = None,
    validation: Any = None,
    validation_context: Any = None,
    validation_weights: Any = None,
    validation_fraction: float = 0.1,
    split: tuple[Tensor, Tensor] | None = None,
    objective: str = "likelihood",
    **training: Unpack[TrainingOptions],
) -> History:
    """Fit a flow to the rows of x by maximum likelihood, in place, and leave it with the best weights in eval mode.

    AdamW with linear warm-up and a cosine decay to zero at the end of the run, clipped gradients, an exponential moving
    average of the weights, and early stopping. The best weights are the averaged ones with the highest held-out
    log-likelihood (nats per row; higher is better). The flow stays on the device it was trained on. With the same seed
    a run on the CPU repeats exactly, unless `max_time` is given: then its course depends on the machine's speed. The
    caller's random state is unchanged. Ctrl-C ends the run and keeps the best weights; a second one is raised.

    A batch whose loss or gradient is not finite changes nothing: a RuntimeWarning names the row, column and module at
    fault, the last good weights are restored, the learning rate is halved, and training continues.

    Arguments:
        flow: The flow to train.
        x: Rows (n, features): a tensor, an array or a data frame. They are converted to the widest dtype that the flow
            holds; a RuntimeWarning says if that rounds a column coarsely. Or `StreamedRows`, which bring their context
            and held-out rows.
        context: Context rows (n, context features), for a conditional flow.
        weights: Weights of the rows (n,), not negative, in the split, the loss and the held-out value; rows of weight 0
            are left out. Default all equal.
        validation: Held-out rows (m, features); without them a random share of x is held out.
        validation_context: Context rows (m, context features) of `validation`.
        validation_weights: Weights (m,) of `validation`.
        validation_fraction: Share of x to hold out when `validation` is not given, between 0 and 1. Rows
            farther from the others than ten times their range are always trained on. Copies of a row stand on one side,
            and count once among the held-out rows: see `pushforward.training.copies`.
        split: Indices of the rows of x to train on, and of those to hold out, in place of a random share.
        objective: "likelihood" (default). For flows in continuous time also "flow_matching", which fits the velocity to
            straight paths from latent points to rows and solves no equation, or "optimal_transport", the same with
            latent points paired with the rows of a batch: see `pushforward.training.flow_matching`. The held-out value
            is a log-likelihood all the same, of at most 1024 rows; training values are minus the matching loss.
        training: Options of the run by name: see `pushforward.training.TrainingOptions`.

    Returns:
        The history of the run.

    Raises:
        InputError: Data or options cannot be used; the message says which, naming the first row and column at fault.
            Or the checkpoint is damaged, or of other data or options.
        TrainingError: Losses or gradients were not finite in five batches; the flow has its best weights.

    >>> import pushforward, torch
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> history = fit(pushforward.maf(features=2), x, max_steps=20)
    >>> history.rows, history.stopped
    ((450, 50), 'finished')
    """
    check_module(flow, "fit", "a flow, such as pushforward.maf(features=2)", "log_prob")
    check_objective(objective, flow)
    # Options that cannot be used are refused before they are.
    settings_from({**training, "evaluate_every": 1, "max_steps": 1})
    beside = (validation, validation_context, validation_weights)
    if isinstance(x, StreamedRows):
        if any(part is not None for part in (context, weights, *beside)):
            raise InputError("Streamed rows have their own context and held-out rows; give nothing beside them.")
        data = streamed_data(flow, x)
    elif validation is not None:
        data = data_with_validation(flow, (x, context, weights), beside)
    elif validation_context is not None or validation_weights is not None:
        name = "validation_weights" if validation_context is None else "validation_context"
        raise InputError(f"{name} was given without validation.")
    else:
        data = split_data(flow, x, context, weights, validation_fraction, training.get("seed", Settings.seed), split)
    settings = _complete(training, data.counts[0], cost_of_held_out(objective, data.counts[1]))
    device = choose_device(settings.device)
    # The first change to the flow: by now nothing can be wrong with the call.
    if settings.precision == "64-true":
        flow.double()
    choices = {"validation_fraction": validation_fraction} | _unless_likelihood(objective)
    checkpoint = checkpoint_for(flow, data.origin, settings, device, **choices)
    rows, held_out = data.ready_for(flow, device)
    _check_ranges(flow, rows)

    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    fabric = make_fabric(device, settings.precision)
    processes = (fabric.global_rank, fabric.world_size)
    batches: ShuffledBatches | StreamedBatches
    if isinstance(x, StreamedRows):
        batches = StreamedBatches(x, settings.batch_size, settings.seed, rows.x.dtype, *processes)
    else:
        batches = ShuffledBatches(rows, settings.batch_size, settings.seed, *processes)
    minimized = objective_for(objective, flow, rows)
    evaluate = held_out_for(minimized, flow, held_out, fabric.device)
    with contexts_compared(flow, None if isinstance(x, StreamedRows) else rows):
        history = train(
            fabric, minimized, batches, evaluate, settings, name_rows=batches.name_rows, checkpoint=checkpoint
        )
    history.rows = data.counts
    return history


def _unless_likelihood(objective: str) -> dict[str, str]:
    """What a checkpoint compares beyond the choices of a fit by likelihood, which those of earlier versions are."""
    return {} if objective == "likelihood" else {"objective": objective}


def _complete(options: TrainingOptions, rows: int, held_out_rows: int) -> Settings:
    """Choose what depends on the number of rows."""
    batch_size = options.get("batch_size", Settings.batch_size)
    epochs, max_steps = options.get("epochs"), options.get("max_steps")
    steps_per_epoch = -(-rows // batch_size)
    if epochs is None and max_steps is None and options.get("max_time") is None:
        epochs = max(DEFAULT_EPOCHS, -(-DEFAULT_LEAST_STEPS // steps_per_epoch))
    evaluate_every = options.get("evaluate_every")
    if evaluate_every is None:
        limits = [max_steps, None if epochs is None else epochs * steps_per_epoch]
        total = min((limit for limit in limits if limit is not None), default=None)
        evaluate_every = _steps_between_evaluations(steps_per_epoch, total, held_out_rows, batch_size)
    return settings_from({**options, "epochs": epochs, "evaluate_every": evaluate_every})


def _check_ranges(flow: Density, rows: Rows) -> None:
    """Warn if many rows lie where the flow's splines are straight lines."""
    x, *context = rows.take(rows.rows[:: -(-len(rows) // ROWS_TO_CHECK)])
    warn_of_tails(
        flow,
        x.to(device_of(flow)),
        None if rows.context is None else context[0].to(device_of(flow)),
        lambda column: column_of("x", column, rows.columns),
    )


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

"""pushforward distill MODEL -o FAST"""

import contextlib
import dataclasses
import warnings
from typing import Annotated

import typer

from pushforward.cli.options import (
    Device,
    Format,
    Json,
    MaxTime,
    Model,
    ModelOutput,
    NoHeader,
    Query,
    Quiet,
    Seed,
    Separator,
    Verbose,
    table_in,
)
from pushforward.cli.output import command, metrics_path, print_json, reporting, say


@command
def distill(
    model: Model,
    output: ModelOutput,
    given_file: Annotated[
        str | None,
        typer.Option(help="Table of the given columns, for a conditional model: the conditions to train on."),
    ] = None,
    no_header: NoHeader = False,
    separator: Separator = None,
    file_format: Format = None,
    query: Query = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a flow that samples in one pass to imitate a fitted one, and measure how well it does."""
    from pushforward.store.model_file import check_model_path
    from pushforward.table_models.distillation import distill_table
    from pushforward.table_models.model import TableModel
    from pushforward.training.distillation.report import DistillationAlarm

    check_model_path(output)
    with contextlib.ExitStack() as stack, warnings.catch_warnings(), reporting(output, quiet) as reports:
        given = None
        if given_file is not None:
            given = stack.enter_context(table_in(given_file, no_header, separator, file_format, query))
        if not quiet:
            # The report below includes the alarms.
            warnings.simplefilter("ignore", DistillationAlarm)
        student, report = distill_table(
            TableModel.load(model),
            given=given,
            seed=seed,
            max_time=max_time,
            device=device,
            **reports,
        )
        student.save(output)
    for line in () if given is None else given.notes:
        say(line, quiet)
    if json:
        print_json({"model": output, "metrics": str(metrics_path(output)), **report.to_dict()})
    # The estimator was announced before the training.
    say(f"{dataclasses.replace(report, estimator=None)}\nmodel in {output}", quiet)

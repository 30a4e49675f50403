"""pushforward distill MODEL -o FAST"""

import dataclasses
import warnings
from typing import Annotated

import typer

from pushforward.cli.options import (
    Device,
    Json,
    MaxTime,
    Model,
    ModelOutput,
    Quiet,
    Resume,
    Seed,
    Verbose,
)
from pushforward.cli.output import (
    command,
    course,
    metrics_path,
    print_json,
    release_checkpoint,
    say,
    say_course,
)
from pushforward.cli.reading import Reading


@command
def distill(
    model: Model,
    output: ModelOutput,
    given_file: Annotated[
        str | None,
        typer.Option(help="Table of the given columns, for a conditional model: the conditions to train on."),
    ] = None,
    reading: Reading = Reading(),
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
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
    with (
        reading.table_if_any(given_file, quiet) as given,
        warnings.catch_warnings(),
        course(output, quiet, resume) as kept,
    ):
        if not quiet:
            # The report below includes the alarms.
            warnings.simplefilter("ignore", DistillationAlarm)
        student, report = distill_table(
            TableModel.load(model),
            given=given,
            seed=seed,
            max_time=max_time,
            device=device,
            **kept,
        )
        student.save(output)
    figures = report.to_dict()
    ending = release_checkpoint(output, figures["stopped"])
    if json:
        print_json({"model": output, "metrics": str(metrics_path(output)), **figures}, output)
    # The estimator was announced before the training.
    for line in [str(dataclasses.replace(report, estimator=None)), *ending, f"model in {output}"]:
        say(line, quiet)
    say_course(report.history, quiet)

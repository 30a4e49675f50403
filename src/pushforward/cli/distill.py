"""pushforward distill MODEL -o FAST"""

import dataclasses
import warnings
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Quiet, Verbose
from pushforward.cli.output import command, print_json, say


@command
def distill(
    model: Model,
    output: Annotated[str, typer.Option("--output", "-o", help="Model file to write (.safetensors).")],
    given_file: Annotated[
        str | None,
        typer.Option(help="Table of the given columns, of a model that has them: the conditions to train on."),
    ] = None,
    max_time: Annotated[float | None, typer.Option(help="Most seconds of training; default 5000 steps.")] = None,
    seed: Annotated[int, typer.Option(help="Makes the run repeat.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Teach a flow that draws a row in one pass to stand for a fitted one, and say how well it does."""
    from pushforward.store.model_file import check_model_path
    from pushforward.table_models.distillation import distill_table
    from pushforward.table_models.model import TableModel
    from pushforward.training.distillation.report import DistillationAlarm

    check_model_path(output)
    log_path = Path(output).with_suffix(".metrics.csv")
    with warnings.catch_warnings():
        if not quiet:
            # The report below has the alarms.
            warnings.simplefilter("ignore", DistillationAlarm)
        student, report = distill_table(
            TableModel.load(model),
            given=given_file,
            seed=seed,
            max_time=max_time,
            announce=lambda line: say(line, quiet),
            device=device,
            progress=False if quiet else None,
            log_path=log_path,
        )
    student.save(output)
    if json:
        print_json({"model": output, "metrics": str(log_path), **report.to_dict()})
    # Which estimator, and why, was announced before the training.
    say(f"{dataclasses.replace(report, estimator=None)}\nmodel in {output}", quiet)

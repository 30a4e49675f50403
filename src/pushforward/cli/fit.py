"""pushforward fit DATA -o MODEL"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import (
    Device,
    Json,
    MaxTime,
    ModelOutput,
    NoHeader,
    Quiet,
    Seed,
    Verbose,
    column,
    columns,
    names_in,
    pairs,
)
from pushforward.cli.output import command, counted, metrics_path, print_json, reporting, say
from pushforward.zoo.names import ARCHITECTURES, univariate_names

if TYPE_CHECKING:
    from pushforward.table_models.fitting import Fit

FLOWS = (
    f"Architecture: {', '.join(sorted(ARCHITECTURES))}; or autoregressive layers of a univariate family: "
    f"{', '.join(univariate_names())}. By default architecture, size and training are chosen from the table and the "
    "time."
)


Data = Annotated[
    str, typer.Argument(help="Table to fit (.csv, .parquet, .feather).", metavar="DATA", show_default=False)
]
Architecture = Annotated[str | None, typer.Option(help=FLOWS)]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Columns to model, a,b,c; by default all that are not given. A name with a comma is quoted: 'a,\"b, c\"'.",
    ),
]
Given = Annotated[str, typer.Option(help="Columns to condition on, a,b,c: p(rest | given).")]
Schema = Annotated[
    str | None, typer.Option(help="JSON file that declares the kinds of some columns; the others are detected.")
]
ArbitraryConditions = Annotated[
    bool,
    typer.Option(
        "--arbitrary-conditions",
        help="Learn p(any columns | any others). This is always done for tables with missing values, for given columns "
        "that are angles or categories of three or more levels, and for modeled columns that are angles, the latter "
        "unless --flow is named or the table is larger than memory.",
    ),
]
Weight = Annotated[str | None, typer.Option(help="Column of row weights, which is not modeled.")]
Errors = Annotated[
    list[str] | None,
    typer.Option(help="x=x_err: column x_err has the measurement errors of column x; may be repeated."),
]
Missing = Annotated[
    str | None,
    typer.Option(
        help='What stands for a missing value, such as "?,-,-999", instead of NA, N/A, NaN, null and None; empty cells '
        "always do."
    ),
]
Group = Annotated[
    str | None,
    typer.Option(help="Column whose equal values mark rows that belong together; they are held out together."),
]
HoldOut = Annotated[
    str, typer.Option("--hold-out", help="random, or last: the last tenth of the rows, as of a time series.")
]
Decimal = Annotated[
    str | None, typer.Option(help='Decimal mark of numbers in text, "." or ",", where the text does not decide.')
]
DateFormat = Annotated[
    str | None, typer.Option(help='Order of dates in text, such as "%d/%m/%Y", where the text does not decide.')
]
Precision = Annotated[str, typer.Option(help="32-true, 64-true or bf16-mixed.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Resume from MODEL.checkpoint, which a killed fit leaves behind.")
]


@command
def fit(
    data: Data,
    output: ModelOutput,
    flow: Architecture = None,
    names: Columns = None,
    given: Given = "",
    schema: Schema = None,
    arbitrary_conditions: ArbitraryConditions = False,
    weight: Weight = None,
    error: Errors = None,
    missing: Missing = None,
    no_header: NoHeader = False,
    group: Group = None,
    hold_out: HoldOut = "random",
    decimal: Decimal = None,
    date_format: DateFormat = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "32-true",
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of a table: p(columns), or p(columns | given)."""
    from pushforward.store.model_file import check_model_path
    from pushforward.table_models.fitting import fit_table

    check_model_path(output)
    checkpoint = Path(output).with_suffix(".checkpoint")
    if resume and not checkpoint.exists():
        say(f"there is no {checkpoint} to resume from: the fit starts from the beginning", quiet)
    elif checkpoint.exists() and not resume:
        say(f"{checkpoint} of an unfinished fit will be overwritten; --resume would continue that fit", quiet)
    known = names_in(data, not no_header)
    with reporting(output, quiet) as reports:
        result = fit_table(
            data,
            columns=columns(names, known),
            given=columns(given, known) or [],
            flow=flow,
            schema=schema,
            arbitrary_conditions=arbitrary_conditions,
            weight=column(weight, known),
            errors=pairs(error, "--error"),
            missing=columns(missing),
            header=not no_header,
            group=column(group, known),
            hold_out=hold_out,
            decimal=decimal,
            date_format=date_format,
            seed=seed,
            max_time=max_time,
            device=device,
            precision=precision,
            checkpoint=checkpoint,
            resume=resume,
            **reports,
        )
        result.model.save(output)
    if result.history.stopped != "interrupted":
        # Only now: until the model is written, nothing else holds the result.
        checkpoint.unlink(missing_ok=True)
    if json:
        notes = result.model.notes
        about = {"columns": result.model.columns, "given": result.model.given, **notes}
        print_json({"model": output, "metrics": str(metrics_path(output)), "flow": notes["flow"], **about})
    for line in _summary(result, data, output, checkpoint):
        say(line, quiet)


def _summary(result: "Fit", data: str, output: str, checkpoint: Path) -> list[str]:
    notes, ending, last = result.model.notes, result.history.stopped, []
    if ending == "interrupted":
        more = f"; --resume continues from {checkpoint}" if checkpoint.exists() else ""
        last = [f"interrupted: {output} has the best weights until then{more}"]
    gain = "" if result.gaussian is None else f", {result.held_out - result.gaussian:+.3f} compared with a Gaussian"
    rows, over = notes["rows"], f"{notes['flow']} over {counted(len(result.model.columns), 'column')} of {data}"
    return [
        f"{over}: {rows['training']} training rows, {rows['held_out']} held out, {notes['steps']} steps in "
        f"{notes['seconds']:.1f} s ({ending})",
        f"held-out log-likelihood {result.held_out:.3f} nats per row{gain}; model in {output}",
        *last,
    ]

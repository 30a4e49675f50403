"""pushforward fit DATA -o MODEL"""

import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.options import (
    TABLES,
    Device,
    FitEngine,
    Format,
    Json,
    MaxTime,
    ModelOutput,
    Names,
    NoHeader,
    Query,
    Quiet,
    Seed,
    Separator,
    Verbose,
    Workers,
    column,
    columns,
    pairs,
    table_in,
)
from pushforward.cli.output import command, counted, metrics_path, print_json, reporting, say
from pushforward.support.processes import processes
from pushforward.zoo.names import ARCHITECTURES, univariate_names

if TYPE_CHECKING:
    from pushforward.table_models.fitting import Fit

FLOWS = (
    f"Architecture: {', '.join(sorted(ARCHITECTURES))}; or autoregressive layers of a univariate family: "
    f"{', '.join(univariate_names())}. By default architecture, size and training are chosen from the table and the "
    "time."
)


Data = Annotated[list[str], typer.Argument(help=f"Table to fit: {TABLES}.", metavar="DATA...", show_default=False)]
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
    separator: Separator = None,
    file_format: Format = None,
    query: Query = None,
    group: Group = None,
    hold_out: HoldOut = "random",
    decimal: Decimal = None,
    date_format: DateFormat = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "32-true",
    resume: Resume = False,
    engine: FitEngine = None,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of a table: p(columns), or p(columns | given)."""
    arguments = locals()
    from pushforward.store.model_file import check_model_path
    from pushforward.table_models.fitting import fit_table

    writes = processes().first
    if not writes:
        quiet = True
        warnings.simplefilter("ignore")
    check_model_path(output)
    checkpoint = Path(output).with_suffix(".checkpoint")
    if resume and not checkpoint.exists():
        say(f"there is no {checkpoint} to resume from: the fit starts from the beginning", quiet)
    elif checkpoint.exists() and not resume:
        say(f"{checkpoint} of an unfinished fit will be overwritten; --resume would continue that fit", quiet)
    if engine is not None or workers is not None:
        _say(_on_engine(arguments), ", ".join(data), output, checkpoint, json, quiet)
        return
    with (
        table_in(data, no_header, separator, file_format, query, once=False) as table,
        reporting(output, quiet) as reports,
    ):
        known: Names = functools.partial(list, table.schema.names)
        result = fit_table(
            table,
            columns=columns(names, known),
            given=columns(given, known) or [],
            flow=flow,
            schema=schema,
            arbitrary_conditions=arbitrary_conditions,
            weight=column(weight, known),
            errors=pairs(error, "--error"),
            missing=columns(missing),
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
        if not writes:
            return
        result.model.save(output)
    if result.history.stopped != "interrupted":
        # Only now: until the model is written, nothing else holds the result.
        checkpoint.unlink(missing_ok=True)
    _say(result, table.name, output, checkpoint, json, quiet)


def _on_engine(arguments: dict[str, Any]) -> "Fit":
    """The result of the same command in processes of an engine, which writes the model; their first one is silent."""
    from pushforward.table_models.engines import run_in_processes
    from pushforward.table_models.fitting import Fit
    from pushforward.table_models.model import TableModel
    from pushforward.tables.files.opening import check_unshared
    from pushforward.training.history import History
    from pushforward.training.settings import choose_device

    check_unshared(arguments["data"], several=True)
    engine, workers = arguments["engine"], arguments["workers"] or 1
    here = {**arguments, "engine": None, "workers": None, "quiet": True, "json": False}
    gpus = choose_device(arguments["device"]).type == "cuda"
    run_in_processes(engine, functools.partial(_fit_here, here), workers, gpus)
    model = TableModel.load(arguments["output"])
    notes = model.notes
    for line in notes["chosen"]:
        say(line, arguments["quiet"])
    return Fit(model, History(stopped=notes["stopped"]), notes["held_out_nats"], notes["gaussian_nats"])


def _fit_here(arguments: dict[str, Any]) -> None:
    """The command without what it says about its errors."""
    fit.__wrapped__(**arguments)  # type: ignore[attr-defined]


def _say(result: "Fit", name: str, output: str, checkpoint: Path, json: bool, quiet: bool) -> None:
    """Print the result for machines and for people."""
    if json:
        notes = result.model.notes
        about = {"columns": result.model.columns, "given": result.model.given, **notes}
        print_json({"model": output, "metrics": str(metrics_path(output)), "flow": notes["flow"], **about})
    for line in _summary(result, name, output, checkpoint):
        say(line, quiet)


def _summary(result: "Fit", name: str, output: str, checkpoint: Path) -> list[str]:
    notes, ending, last = result.model.notes, result.history.stopped, []
    if ending == "interrupted":
        more = f"; --resume continues from {checkpoint}" if checkpoint.exists() else ""
        last = [f"interrupted: {output} has the best weights until then{more}"]
    elif result.history.shortage:
        last = [result.history.shortage]
    gain = "" if result.gaussian is None else f", {result.held_out - result.gaussian:+.3f} compared with a Gaussian"
    rows, over = notes["rows"], f"{notes['flow']} over {counted(len(result.model.columns), 'column')} of {name}"
    return [
        f"{over}: {rows['training']} training rows, {rows['held_out']} held out, {notes['steps']} steps in "
        f"{notes['seconds']:.1f} s ({ending})",
        f"held-out log-likelihood {result.held_out:.3f} nats per row{gain}; model in {output}",
        *last,
    ]

"""pushforward fit DATA -o MODEL"""

import functools
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import (
    Device,
    FitEngine,
    Json,
    MaxTime,
    ModelOutput,
    Names,
    Quiet,
    Resume,
    Seed,
    Verbose,
    Workers,
    column,
    columns,
    pairs,
)
from pushforward.cli.output import (
    checkpoint_path,
    command,
    counted,
    course,
    metrics_path,
    print_json,
    say,
    say_course,
)
from pushforward.cli.reading import TABLES, Reading
from pushforward.support.processes import processes
from pushforward.zoo.names import ARCHITECTURES, IN_CONTINUOUS_TIME, univariate_names

if TYPE_CHECKING:
    from pushforward.table_models.fitting import Fit

FLOWS = (
    f"Architecture: {', '.join(sorted(ARCHITECTURES | IN_CONTINUOUS_TIME))}; or autoregressive layers of a univariate "
    f"family: {', '.join(univariate_names())}. By default architecture, size and training are chosen from the table "
    "and the time."
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
        help="Learn p(any columns | any others). This is always done where modeled columns have missing values, or are "
        "angles, the latter unless --flow is named or the table is larger than memory.",
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


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command, which processes of an engine receive as they are."""

    data: Data
    output: ModelOutput
    flow: Architecture = None
    names: Columns = None
    given: Given = ""
    schema: Schema = None
    arbitrary_conditions: ArbitraryConditions = False
    weight: Weight = None
    error: Errors = None
    missing: Missing = None
    reading: Reading
    group: Group = None
    hold_out: HoldOut = "random"
    decimal: Decimal = None
    date_format: DateFormat = None
    max_time: MaxTime = None
    seed: Seed = 0
    device: Device = "auto"
    precision: Precision = "32-true"
    resume: Resume = False
    engine: FitEngine = None
    workers: Workers = None
    json: Json = False
    quiet: Quiet = False
    verbose: Verbose = False

    @property
    def checkpoint(self) -> Path:
        """The file beside the model to which a killed fit returns."""
        return checkpoint_path(self.output)


@command
def fit(options: Options) -> None:
    """Learn the density of a table: p(columns), or p(columns | given)."""
    from pushforward.store.model_file import check_model_path

    if not processes().first:
        options = replace(options, quiet=True)
        warnings.simplefilter("ignore")
    check_model_path(options.output)
    if options.engine is not None or options.workers is not None:
        absent = options.resume and not options.checkpoint.exists()
        result = _on_engine(options)
        # Only now: a refused fit says nothing but why, and its processes are silent.
        if absent:
            say(f"there was no {options.checkpoint} to resume from: the fit started from the beginning", options.quiet)
        _say(result, ", ".join(options.data), options)
    else:
        _fit_here(options)


def _fit_here(options: Options) -> None:
    """Fit in this process, or in this one and others, of which the first one writes and prints."""
    from pushforward.table_models.fitting import fit_table
    from pushforward.table_models.stacking import checkpoints

    with (
        options.reading.open(options.data, once=False) as table,
        course(options.output, options.quiet, options.resume) as kept,
    ):
        known: Names = functools.partial(list, table.schema.names)
        result = fit_table(
            table,
            columns=columns(options.names, known),
            given=columns(options.given, known) or [],
            flow=options.flow,
            schema=options.schema,
            arbitrary_conditions=options.arbitrary_conditions,
            weight=column(options.weight, known),
            errors=pairs(options.error, "--error"),
            missing=columns(options.missing),
            group=column(options.group, known),
            hold_out=options.hold_out,
            decimal=options.decimal,
            date_format=options.date_format,
            seed=options.seed,
            max_time=options.max_time,
            device=options.device,
            precision=options.precision,
            **kept,
        )
        if not processes().first:
            return
        result.model.save(options.output)
    if result.history.stopped != "interrupted":
        # Only now: until the model is written, nothing else holds the result.
        for path in checkpoints(options.checkpoint):
            path.unlink(missing_ok=True)
    _say(result, table.name, options)


def _on_engine(options: Options) -> "Fit":
    """The result of the same command in processes of an engine, which writes the model; their first one is silent."""
    from pushforward.support.devices import choose_device
    from pushforward.table_models.engines import run_in_processes
    from pushforward.table_models.fitting import Fit
    from pushforward.table_models.model import TableModel
    from pushforward.tables.files.opening import check_unshared
    from pushforward.training.history import History

    check_unshared(options.data, several=True)
    there = replace(options, engine=None, workers=None, quiet=True, json=False)
    gpus = choose_device(options.device).type == "cuda"
    run_in_processes(options.engine, functools.partial(_in_process, there), options.workers or 1, gpus)
    model = TableModel.load(options.output)
    notes = model.notes
    for line in notes["chosen"]:
        say(line, options.quiet)
    history = History(steps=notes["steps"], total_seconds=notes["seconds"], stopped=notes["stopped"])
    return Fit(model, history, notes["held_out_nats"], notes["gaussian_nats"])


def _in_process(options: Options) -> None:
    """The command in a process of an engine, without what it says about its errors."""
    fit.__wrapped__(options)  # type: ignore[attr-defined]


def _say(result: "Fit", name: str, options: Options) -> None:
    """Print the result for machines and for people."""
    output = options.output
    if options.json:
        notes = result.model.notes
        about = {"columns": result.model.columns, "given": result.model.given, **notes}
        print_json({"model": output, "metrics": str(metrics_path(output)), "flow": notes["flow"], **about}, output)
    for line in _summary(result, name, output, options.checkpoint):
        say(line, options.quiet)
    say_course(result.history, options.quiet)


def _summary(result: "Fit", name: str, output: str, checkpoint: Path) -> list[str]:
    notes, ending, last = result.model.notes, result.history.stopped, []
    rows, flow = notes["rows"], "Gaussian" if notes["flow"] == "gaussian" else notes["flow"]
    if "parts" in notes:
        flow = "stack of " + ", ".join(f"{name} ({weight:.0%})" for name, weight in notes["parts"].items())
    if ending == "interrupted":
        more = f"; --resume continues from {checkpoint}" if checkpoint.exists() else ""
        holds = (
            "a Gaussian, since no weights until then were better"
            if flow == "Gaussian"
            else "the best weights until then"
        )
        last = [f"interrupted: {output} has {holds}{more}"]
    compared = gain(result.held_out, result.gaussian)
    in_turn = f" in {rows['folds']} turns" if "folds" in rows else ""
    over = f"{flow} over {counted(len(result.model.columns), 'column')} of {name}"
    return [
        f"{over}: {counted(rows['training'], 'training row')}, {rows['held_out']:,} held out{in_turn}, "
        f"{counted(notes['steps'], 'step')} in {notes['seconds']:.1f} s ({ending})",
        f"held-out log-likelihood {result.held_out:.3f} nats per row{compared}; model in {output}",
        *last,
    ]


def gain(held_out: float, gaussian: float | None) -> str:
    """How held-out rows compare under the model and under the Gaussian of the same columns, if there is one."""
    if gaussian is None:
        return ""
    difference = f"{held_out - gaussian:+.3f}"
    reference = "a Gaussian of the columns as they are"
    return f", as much as {reference}" if float(difference) == 0 else f", {difference} compared with {reference}"

"""pushforward sample MODEL -n N -o OUT"""

from typing import Annotated, Any

import typer

from pushforward.cli.options import Engine, Json, Model, NoHeader, Output, Quiet, SeedOfDraws, Verbose
from pushforward.cli.output import command, counted, place, print_json, progress, say, say_notes


@command
def sample(
    model: Model,
    output: Output,
    number: Annotated[int | None, typer.Option("--number", "-n", help="Number of rows to draw.")] = None,
    given_file: Annotated[
        str | None, typer.Option(help="Table of the given columns: one row is drawn for each of its rows.")
    ] = None,
    no_header: NoHeader = False,
    engine: Engine = None,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw rows from a fitted density."""
    from pushforward.table_models.engines import engine_of
    from pushforward.table_models.model import TableModel

    table_model, header = TableModel.load(model), not no_header
    lines: list[str] = []
    options: dict[str, Any] = {"seed": seed, "announce": lines.append, "header": header, "engine": engine_of(engine)}
    with progress("sampling", quiet) as report:
        rows = table_model.sample(output, rows=number, given=given_file, report=report, **options)
    if given_file is not None:
        say_notes(given_file, header, quiet)
    if json and output != "-":
        print_json({"output": output, "rows": rows, "columns": [*table_model.given, *table_model.columns]})
    for line in [f"{counted(rows, 'row')} drawn; table {place(output)}", *lines]:
        say(line, quiet)

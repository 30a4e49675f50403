"""pushforward sample MODEL -n N -o OUT"""

from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Engine,
    Json,
    Model,
    Output,
    Quiet,
    SeedOfDraws,
    Verbose,
)
from pushforward.cli.output import command, counted, place, print_json, progress, say
from pushforward.cli.reading import Reading


@command
def sample(
    model: Model,
    output: Output,
    number: Annotated[int | None, typer.Option("--number", "-n", min=1, help="Number of rows to draw.")] = None,
    given_file: Annotated[
        str | None,
        typer.Option(help="Table of the given columns, a file or a folder: one row is drawn for each of its rows."),
    ] = None,
    reading: Reading = Reading(),
    engine: Engine = None,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw rows from a fitted density."""
    from pushforward.table_models.engines import engine_of
    from pushforward.table_models.model import TableModel

    table_model = TableModel.load(model)
    lines: list[str] = []
    options: dict[str, Any] = {"seed": seed, "announce": lines.append, "engine": engine_of(engine)}
    with reading.table_if_any(given_file, quiet) as given, progress("sampling", quiet) as report:
        rows = table_model.sample(output, rows=number, given=given, report=report, **options)
    if json:
        print_json({"output": output, "rows": rows, "columns": [*table_model.given, *table_model.columns]}, output)
    for line in [f"{counted(rows, 'row')} drawn; table {place(output)}", *lines]:
        say(line, quiet)

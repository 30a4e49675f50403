"""pushforward sample MODEL -n N -o OUT"""

import contextlib
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Engine,
    Format,
    Json,
    Model,
    NoHeader,
    Output,
    Query,
    Quiet,
    SeedOfDraws,
    Separator,
    Verbose,
    table_in,
)
from pushforward.cli.output import command, counted, place, print_json, progress, say


@command
def sample(
    model: Model,
    output: Output,
    number: Annotated[int | None, typer.Option("--number", "-n", min=1, help="Number of rows to draw.")] = None,
    given_file: Annotated[
        str | None,
        typer.Option(help="Table of the given columns, a file or a folder: one row is drawn for each of its rows."),
    ] = None,
    no_header: NoHeader = False,
    separator: Separator = None,
    file_format: Format = None,
    query: Query = None,
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
    with contextlib.ExitStack() as stack:
        given = None
        if given_file is not None:
            given = stack.enter_context(table_in(given_file, no_header, separator, file_format, query))
        report = stack.enter_context(progress("sampling", quiet))
        rows = table_model.sample(output, rows=number, given=given, report=report, **options)
    for line in () if given is None else given.notes:
        say(line, quiet)
    if json and output != "-":
        print_json({"output": output, "rows": rows, "columns": [*table_model.given, *table_model.columns]})
    for line in [f"{counted(rows, 'row')} drawn; table {place(output)}", *lines]:
        say(line, quiet)

"""pushforward impute MODEL DATA -o OUT"""

from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Engine,
    Json,
    Model,
    Output,
    Quiet,
    Seed,
    Verbose,
)
from pushforward.cli.output import command, counted, place, print_json, progress, say
from pushforward.cli.reading import TABLES, Reading


@command
def impute(
    model: Model,
    data: Annotated[
        list[str],
        typer.Argument(
            help=f"Table with the model's columns and missing values: {TABLES}.", metavar="DATA...", show_default=False
        ),
    ],
    output: Output,
    draws: Annotated[
        int | None,
        typer.Option(
            help="Number of completed tables to draw, told apart by a column named draw; by default missing values "
            "become medians and most probable levels."
        ),
    ] = None,
    reading: Reading = Reading(),
    engine: Engine = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with its missing values imputed from the values that are present."""
    from pushforward.table_models import imputation
    from pushforward.table_models.engines import engine_of
    from pushforward.table_models.model import TableModel

    table_model = TableModel.load(model)
    lines: list[str] = []
    options: dict[str, Any] = {"seed": seed, "announce": lines.append, "engine": engine_of(engine)}
    with reading.table(data, quiet) as table, progress("imputing", quiet) as report:
        rows, filled = imputation.impute(table_model, table, output, draws=draws, report=report, **options)
    if json:
        print_json({"output": output, "rows": rows, "filled": filled, "draws": draws}, output)
    how = "with medians and most probable levels" if draws is None else f"with {draws} draws"
    done = f"{counted(filled, 'missing value')} in {counted(rows, 'row')} imputed {how}; table {place(output)}"
    for line in [done, *lines]:
        say(line, quiet)

"""pushforward impute MODEL DATA -o OUT"""

from typing import Annotated, Any

import typer

from pushforward.cli.options import Engine, Json, Model, NoHeader, Output, Quiet, Seed, Verbose
from pushforward.cli.output import command, counted, place, print_json, progress, say, say_notes


@command
def impute(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(help="Table with the model's columns and missing values.", metavar="DATA", show_default=False),
    ],
    output: Output,
    draws: Annotated[
        int | None,
        typer.Option(
            help="Number of completed tables to draw, told apart by a column named draw; by default missing values "
            "become medians and most probable levels."
        ),
    ] = None,
    no_header: NoHeader = False,
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
    header, lines = not no_header, list[str]()
    options: dict[str, Any] = {"seed": seed, "announce": lines.append, "header": header, "engine": engine_of(engine)}
    with progress("imputing", quiet) as report:
        rows, filled = imputation.impute(table_model, data, output, draws=draws, report=report, **options)
    say_notes(data, header, quiet)
    if json and output != "-":
        print_json({"output": output, "rows": rows, "filled": filled, "draws": draws})
    how = "with medians and most probable levels" if draws is None else f"with {draws} draws"
    done = f"{counted(filled, 'missing value')} in {counted(rows, 'row')} imputed {how}; table {place(output)}"
    for line in [done, *lines]:
        say(line, quiet)

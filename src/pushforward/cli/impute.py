"""pushforward impute MODEL DATA -o OUT"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, print_json, progress, say


@command
def impute(
    model: Model,
    data: Annotated[str, typer.Argument(help="Table with the model's columns and gaps.", show_default=False)],
    output: Output,
    draws: Annotated[
        int | None,
        typer.Option(help="Completed tables to draw, told apart by a column draw; default medians, likeliest levels."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes the draws repeat.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with its missing values filled in, given those that are there."""
    from pushforward.table_models import imputation
    from pushforward.table_models.model import TableModel

    table_model = TableModel.load(model)
    with progress("imputing", quiet) as report:
        rows, filled = imputation.impute(table_model, data, output, draws=draws, seed=seed, report=report)
    if json and output != "-":
        print_json({"output": output, "rows": rows, "filled": filled, "draws": draws})
    how = "with medians and likeliest levels" if draws is None else f"by {draws} draws"
    say(f"{filled} gaps in {rows} rows filled {how} in {output}", quiet)

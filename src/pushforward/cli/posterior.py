"""pushforward posterior MODEL DATA --of COLUMN --given a,b -o OUT"""

from typing import Annotated

import typer

from pushforward.cli.options import (
    Json,
    Model,
    Output,
    Quiet,
    Verbose,
    column,
    columns,
    numbers,
)
from pushforward.cli.output import command, counted, place, print_json, progress, say
from pushforward.cli.reading import TABLES, Reading
from pushforward.errors import InputError


@command
def posterior(
    model: Model,
    data: Annotated[
        list[str],
        typer.Argument(help=f"Table with the given columns: {TABLES}.", metavar="DATA...", show_default=False),
    ],
    output: Output,
    of: Annotated[str, typer.Option(help="Column whose density to write.")],
    given: Annotated[
        str | None, typer.Option(help="Known columns, a,b,c; by default all others that the table has.")
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(help="Levels such as 0.05,0.5,0.95: write these quantiles, not the density on a grid.")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(help="LOWEST,HIGHEST,POINTS of the grid; by default 200 over the range of the training rows."),
    ] = None,
    reading: Reading = Reading(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the density of one column given others, for each row of a table: on a grid, or as quantiles."""
    from pushforward.table_models.model import TableModel
    from pushforward.table_models.posterior import posterior as write_posterior

    levels = numbers(quantiles, "--quantiles")
    ends = numbers(grid, "--grid")
    if ends is not None and (len(ends) != 3 or ends[2] != int(ends[2])):
        raise InputError("--grid takes three numbers: the lowest value, the highest value, and the number of points.")
    table_model = TableModel.load(model)
    wanted = column(of, lambda: table_model.modeled) or of
    lines: list[str] = []
    with reading.table(data, quiet) as table, progress("evaluating", quiet) as report:
        rows = write_posterior(
            table_model,
            table,
            output,
            of=wanted,
            given=columns(given, lambda: table_model.modeled),
            quantiles=levels,
            grid=None if ends is None else (ends[0], ends[1], int(ends[2])),
            announce=lines.append,
            report=report,
        )
    if json:
        print_json({"output": output, "rows": rows, "of": wanted, "quantiles": levels}, output)
    for line in [f"p({wanted} | others) of {counted(rows, 'row')} {place(output)}", *lines]:
        say(line, quiet)

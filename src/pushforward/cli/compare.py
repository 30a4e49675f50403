"""pushforward compare A B DATA"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, MostRows, Quiet, Seed, Verbose
from pushforward.cli.output import command, print_json, say
from pushforward.cli.reading import TABLES, Reading


@command
def compare(
    a: Annotated[str, typer.Argument(help="Model file (.safetensors).", metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(help="Another one of the same columns.", metavar="B", show_default=False)],
    data: Annotated[
        list[str],
        typer.Argument(help=f"Rows that neither was trained on: {TABLES}.", metavar="DATA...", show_default=False),
    ],
    rows: MostRows = 20_000,
    seed: Seed = 0,
    reading: Reading = Reading(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare two models on one table: which has the higher log-density, and which rows and columns decide."""
    from dataclasses import asdict

    from pushforward.evaluation.report.comparison import compare as compared

    with reading.table(data, quiet, once=False) as table:
        found = compared(a, b, table, rows=rows, seed=seed, progress=not quiet)
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)

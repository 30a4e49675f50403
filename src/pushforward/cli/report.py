"""pushforward report MODEL DATA [-o REPORT]"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, MostRows, Quiet, Seed, Verbose
from pushforward.cli.output import command, place, print_json, say
from pushforward.cli.reading import TABLES, Reading


@command
def report(
    model: Model,
    data: Annotated[
        list[str],
        typer.Argument(
            help=f"Rows that the model was not trained on: {TABLES}.", metavar="DATA...", show_default=False
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Report to write (.html, .pdf, .png, .md, .json).", show_default=False),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            help="Table that the model was trained on, to look for rows learned by heart; once for each file.",
            show_default=False,
        ),
    ] = None,
    rows: MostRows = 5000,
    seed: Seed = 0,
    reading: Reading = Reading(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Judge a model by rows that it has not seen: is it good, where is it wrong, what did it learn?"""
    from pushforward.evaluation.report.building import report as made_of
    from pushforward.evaluation.report.writing import check_report_path, write_report

    if output is not None:
        check_report_path(output)
    with reading.table(data, quiet) as table, reading.table_if_any(train, quiet) as known:
        found = made_of(model, table, train=known, rows=rows, seed=seed, progress=not quiet)
    if output is not None:
        write_report(found, output, model)
    if json:
        print_json(found.to_dict())
    for sentence in [found.provenance.subsampled, *found.verdict.sentences]:
        if sentence:
            say(sentence, quiet)
    if output is not None:
        say(f"report {place(output)}", quiet)

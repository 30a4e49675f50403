"""pushforward drift MODEL DATA_A DATA_B"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, MostRows, Quiet, Seed, Verbose
from pushforward.cli.output import FAILED, command, print_json, say
from pushforward.cli.reading import Reading


@command
def drift(
    model: Model,
    data_a: Annotated[
        str, typer.Argument(help="Rows like those of the fit, not among them.", metavar="DATA_A", show_default=False)
    ],
    data_b: Annotated[str, typer.Argument(help="Rows that may have drifted.", metavar="DATA_B", show_default=False)],
    model_b: Annotated[
        str | None,
        typer.Option("--model-b", help="Model of DATA_B, for the divergence KL(A‖B).", show_default=False),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(
            "--fail-above",
            min=0.0,
            max=1.0,
            help="Exit with status 1 if the confidence that there is drift, 1 less the p-value, is above this.",
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
    """Find out whether a table differs from another one, in which columns, and by which rows."""
    from dataclasses import asdict

    from pushforward.evaluation.report.drift import drift as found_between

    with reading.table(data_a, quiet) as a, reading.table(data_b, quiet) as b:
        found = found_between(model, a, b, model_b=model_b, rows=rows, seed=seed, progress=not quiet)
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)
    if fail_above is not None and 1 - found.p_value > fail_above:
        raise typer.Exit(FAILED)

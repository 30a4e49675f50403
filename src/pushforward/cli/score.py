"""pushforward score MODEL DATA -o OUT"""

from dataclasses import asdict
from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, print_json, progress, say


@command
def score(
    model: Model,
    data: Annotated[str, typer.Argument(help="Table with the model's columns.", show_default=False)],
    output: Output,
    explain: Annotated[
        int, typer.Option(min=0, help="Say which columns make so many of the oddest rows odd.", show_default=False)
    ] = 0,
    shares: Annotated[
        bool,
        typer.Option(
            "--shares",
            help="Add columns share_NAME, log p of each column given those before it, where layers have one order.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with the log-density of each row, in nats, as a column log_prob, and its p-value."""
    from pushforward.table_models.explanation import OddestRows, explainable
    from pushforward.table_models.explanation import explain as explained
    from pushforward.table_models.model import TableModel

    table_model = TableModel.load(model)
    oddest = OddestRows(explain)
    with progress("scoring", quiet) as report:
        scores = table_model.score(data, output, report, oddest.add, shares=shares)
    odd_rows = []
    if explain:
        with progress("explaining", quiet) as report:
            odd_rows = explained(table_model, oddest, report)
    if json and output != "-":
        print_json(
            {
                "output": output,
                "rows": scores.rows,
                "mean_log_prob": scores.mean,
                "standard_deviation": scores.standard_deviation,
                "smallest": scores.smallest,
                "largest": scores.largest,
                "log_prob": table_model.meaning,
                "held_out_rows": None if table_model.calibration is None else table_model.calibration.rows,
                "oddest": [asdict(row) for row in odd_rows],
            }
        )
    error = scores.standard_deviation / max(1, scores.rows) ** 0.5
    say(
        f"{scores.rows} rows, mean log-density {scores.mean:.4f} ± {error:.4f} nats per row "
        f"(from {scores.smallest:.3f} to {scores.largest:.3f}); scores in {output}",
        quiet,
    )
    if table_model.roles.has_probabilities:
        say(f"log_prob is that of {table_model.meaning}", quiet)
    if table_model.calibration is None:
        say("no p-values: the model is distilled or of an earlier version, and keeps no held-out log-densities", quiet)
    else:
        say(f"p-values: ranks among {table_model.calibration.rows} rows that the fit held out", quiet)
    if odd_rows:
        say(
            "the oddest rows, and columns with their shares of the surprise (value; where 90 % lie given the others):",
            quiet,
        )
    for row in odd_rows:
        say(f"  {row}", quiet)
    known = [name for name in table_model.modelled if name not in {*explainable(table_model), *table_model.given}]
    if explain and known:
        say(f"angles and columns with atoms are taken as they are, and not explained: {', '.join(known)}", quiet)

"""pushforward score MODEL DATA -o OUT"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, print_json, progress, say


@command
def score(
    model: Model,
    data: Annotated[str, typer.Argument(help="Table with the model's columns.", show_default=False)],
    output: Output,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with the log-density of each row, in nats, as a column log_prob."""
    from pushforward.table_flow import TableFlow

    table_flow = TableFlow.load(model)
    with progress("scoring", quiet) as report:
        scores = table_flow.score(data, output, report)
    if json and output != "-":
        print_json(
            {
                "output": output,
                "rows": scores.rows,
                "mean_log_prob": scores.mean,
                "standard_deviation": scores.standard_deviation,
                "smallest": scores.smallest,
                "largest": scores.largest,
                "log_prob": table_flow.meaning,
            }
        )
    error = scores.standard_deviation / max(1, scores.rows) ** 0.5
    say(
        f"{scores.rows} rows, mean log-density {scores.mean:.4f} ± {error:.4f} nats per row "
        f"(from {scores.smallest:.3f} to {scores.largest:.3f}); scores in {output}",
        quiet,
    )
    if table_flow.density.columns.discrete:
        say(f"log_prob is that of {table_flow.meaning}", quiet)

"""pushforward score MODEL DATA -o OUT"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, print_json, progress, say

if TYPE_CHECKING:
    from pushforward.table_models.model import Scores, TableModel


@command
def score(
    model: Model,
    data: Annotated[str, typer.Argument(help="Table with the model's columns.", metavar="DATA", show_default=False)],
    output: Output,
    explain: Annotated[
        int,
        typer.Option(
            min=0, help="Number of least probable rows for which to say which columns explain it.", show_default=False
        ),
    ] = 0,
    shares: Annotated[
        bool,
        typer.Option(
            "--shares",
            help="Add columns share_NAME, log p of each column given those before it, if all layers have one order.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with the log-density of each row, in nats, as a column log_prob, and its p-value."""
    from pushforward.table_models.explanation import OddestRows
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
    for line in [*_summary(scores, table_model, output), *_explanation(odd_rows, table_model, explain)]:
        say(line, quiet)


def _summary(scores: "Scores", model: "TableModel", output: str) -> list[str]:
    error = scores.standard_deviation / max(1, scores.rows) ** 0.5
    lines = [
        f"{scores.rows} rows, mean log-density {scores.mean:.4f} ± {error:.4f} nats per row "
        f"(from {scores.smallest:.3f} to {scores.largest:.3f}); scores in {output}"
    ]
    if not model.roles.plain:
        lines.append(f"log_prob is that of {model.meaning}")
    if model.calibration is None:
        lines.append("no p-values: the model is distilled or of an earlier version, without held-out log-densities")
    else:
        lines.append(f"p-values: ranks among {model.calibration.rows} rows that the fit held out")
    return lines


def _explanation(odd_rows: list, model: "TableModel", explain: int) -> list[str]:
    from pushforward.table_models.explanation import explainable

    lines = []
    if odd_rows:
        lines.append(
            "the least probable rows, and the columns that explain them with their shares (value; the range of 90 % "
            "given the others):"
        )
        lines += [f"  {row}" for row in odd_rows]
    left_out = [name for name in model.modeled if name not in {*explainable(model), *model.given}]
    if explain and left_out:
        lines.append(f"angles and columns with atoms are conditioned on, and not explained: {', '.join(left_out)}")
    return lines

"""pushforward score MODEL DATA -o OUT"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import Json, Model, NoHeader, Output, Quiet, Verbose
from pushforward.cli.output import command, counted, place, print_json, progress, say, say_notes

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
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse values outside bounds, grids and levels that the schema of the fit declared."
        ),
    ] = False,
    no_header: NoHeader = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with log_prob, the log-density of each row in nats, its p-value, and whether it is unseen."""
    from pushforward.table_models.explanation import OddestRows
    from pushforward.table_models.explanation import explain as explained
    from pushforward.table_models.model import TableModel

    table_model = TableModel.load(model)
    oddest = OddestRows(explain, table_model.names)
    with progress("scoring", quiet) as report:
        scores = table_model.score(data, output, report, oddest.add, shares=shares, strict=strict, header=not no_header)
    odd_rows = []
    if explain:
        with progress("explaining", quiet) as report:
            odd_rows = explained(table_model, oddest, report)
    say_notes(data, not no_header, quiet)
    if json and output != "-":
        print_json(
            {
                "output": output,
                "rows": scores.rows,
                "mean_log_prob": scores.mean,
                "standard_deviation": scores.standard_deviation,
                "smallest": scores.smallest,
                "largest": scores.largest,
                **scores.strange.as_json(),
                "log_prob": table_model.meaning,
                "held_out_rows": None if table_model.calibration is None else table_model.calibration.rows,
                "rows_of_rare_patterns": scores.pooled,
                "oddest": [asdict(row) for row in odd_rows],
            }
        )
    for line in [*_summary(scores, table_model, output), *_explanation(odd_rows, table_model, explain)]:
        say(line, quiet)


def _summary(scores: "Scores", model: "TableModel", output: str) -> list[str]:
    error = scores.standard_deviation / max(1, scores.seen) ** 0.5
    over = "" if scores.seen == scores.rows else f" over the {counted(scores.seen, 'row')} with a density"
    found = (
        f"mean log-density {scores.mean:.4f} ± {error:.4f} nats per row{over} "
        f"(from {scores.smallest:.3f} to {scores.largest:.3f})"
    )
    found = found if scores.seen else "none of which has a density"
    lines = [f"{counted(scores.rows, 'row')}, {found}; scores {place(output)}"]
    lines += scores.strange.lines()
    if not model.roles.plain:
        lines.append(f"log_prob is that of {model.meaning}")
    return [*lines, *_calibration(scores, model)]


def _calibration(scores: "Scores", model: "TableModel") -> list[str]:
    """What the p-values are."""
    if model.calibration is None:
        return ["no p-values: the model is distilled or of an earlier version, without held-out log-densities"]
    patterns = len(model.calibration.ranks)
    each = "" if model.calibration.others is None else f", within each of {patterns} patterns of gaps and atoms"
    lines = [f"p-values: ranks among {model.calibration.rows} rows that the fit held out{each}"]
    if scores.pooled:
        lines.append(
            f"{scores.pooled} of {scores.rows} rows have another pattern, which few of those rows had: they are ranked "
            "among rows with the nearest patterns"
        )
    return lines


def _explanation(odd_rows: list, model: "TableModel", explain: int) -> list[str]:
    from pushforward.support.suggestions import quoted
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
        lines.append(
            f"angles and columns with atoms are conditioned on, and not explained: {', '.join(map(quoted, left_out))}"
        )
    return lines

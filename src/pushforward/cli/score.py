"""pushforward score MODEL DATA -o OUT"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.options import (
    Engine,
    Json,
    Model,
    Output,
    Quiet,
    Verbose,
)
from pushforward.cli.output import command, counted, nats, percent, place, print_json, progress, say
from pushforward.cli.reading import TABLES, Reading

if TYPE_CHECKING:
    from pushforward.table_models.model import Scores, TableModel


@command
def score(
    model: Model,
    data: Annotated[
        list[str],
        typer.Argument(help=f"Table with the model's columns: {TABLES}.", metavar="DATA...", show_default=False),
    ],
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
    pit: Annotated[
        bool,
        typer.Option(
            "--pit/--no-pit",
            help="With given columns: add pit_NAME, the probability below each value, given them; several columns "
            "take 256 draws a row.",
        ),
    ] = True,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse values outside bounds, grids and levels that the schema of the fit declared."
        ),
    ] = False,
    reading: Reading = Reading(),
    engine: Engine = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table again with log_prob, the log-density of each row in nats, its p-value, and whether it is unseen."""
    from pushforward.table_models.engines import engine_of
    from pushforward.table_models.explanation import OddestRows
    from pushforward.table_models.explanation import explain as explained
    from pushforward.table_models.model import TableModel

    table_model, where = TableModel.load(model), engine_of(engine)
    oddest = OddestRows(explain, table_model.names)
    with reading.table(data, quiet) as table, progress("scoring", quiet) as report:
        options: dict[str, Any] = {"shares": shares, "pit": pit, "strict": strict, "engine": where}
        scores = table_model.score(table, output, report, oddest.add, **options)
    outliers = []
    if explain:
        with progress("explaining", quiet) as report:
            outliers = explained(table_model, oddest, report)
    if json:
        print_json(
            {"output": output, **_as_json(scores, table_model), "oddest": [asdict(row) for row in outliers]}, output
        )
    for line in [*_summary(scores, table_model, output), *_explanation(outliers, table_model, explain)]:
        say(line, quiet)


def _as_json(scores: "Scores", model: "TableModel") -> dict[str, Any]:
    return {
        "rows": scores.rows,
        "mean_log_prob": scores.mean,
        "standard_deviation": scores.standard_deviation,
        "smallest": scores.smallest,
        "largest": scores.largest,
        **({} if scores.mean_error is None else {"error": scores.mean_error, "largest_error": scores.largest_error}),
        **scores.strange.as_json(),
        "log_prob": model.meaning,
        "held_out_rows": None if model.calibration is None else model.calibration.rows,
        "rows_of_rare_patterns": scores.pooled,
        **({"pit": {name: one.as_json() for name, one in scores.pit.items()}} if scores.pit else {}),
    }


def _summary(scores: "Scores", model: "TableModel", output: str) -> list[str]:
    from pushforward.table_models.pit import lines_of_pit

    error = scores.standard_deviation / max(1, scores.seen) ** 0.5
    over = "" if scores.seen == scores.rows else f" over the {counted(scores.seen, 'row')} with a density"
    found = (
        f"mean log-density {nats(scores.mean, 4)} ± {nats(error, 4)} nats per row{over} "
        f"(from {nats(scores.smallest)} to {nats(scores.largest)})"
    )
    found = found if scores.seen else "none of which has a density"
    lines = [f"{counted(scores.rows, 'row')}, {found}; scores {place(output)}"]
    if scores.mean_error is not None and scores.largest_error is not None:
        lines.append(
            f"log_prob_error: {scores.mean_error:.2g} nats on average, {scores.largest_error:.2g} at most, of solved "
            "equations and random estimates"
        )
    lines += scores.strange.lines()
    if not model.roles.plain:
        lines.append(f"log_prob is that of {model.meaning}")
    return [*lines, *_calibration(scores, model), *lines_of_pit(scores.pit)]


def _calibration(scores: "Scores", model: "TableModel") -> list[str]:
    """What the p-values are."""
    if model.calibration is None:
        return ["no p-values: the model is distilled or of an earlier version, without held-out log-densities"]
    patterns = len(model.calibration.ranks)
    each = f", within each of {patterns} patterns of gaps and atoms" if patterns > 1 else ""
    lines = [f"p-values: ranks among {model.calibration.rows:,} rows that the fit held out{each}"]
    if scores.pooled:
        lines.append(
            f"{scores.pooled:,} of {counted(scores.rows, 'row')} ({percent(scores.pooled / scores.rows)}): ranked "
            "among rows with similar gaps and atoms, since few of the rows held out have the same"
        )
    return lines


def _explanation(outliers: list, model: "TableModel", explain: int) -> list[str]:
    from pushforward.support.suggestions import quoted
    from pushforward.table_models.explanation import explainable

    lines = []
    if outliers:
        lines.append(
            "the least probable rows, and the columns that explain them with their shares (value; the range of 90% "
            "given the others):"
        )
        lines += [f"  {row}" for row in outliers]
    left_out = [name for name in model.modeled if name not in {*explainable(model), *model.given}]
    if explain and left_out:
        lines.append(
            f"angles and columns with atoms are conditioned on, and not explained: {', '.join(map(quoted, left_out))}"
        )
    return lines

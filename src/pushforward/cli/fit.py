"""pushforward fit DATA -o MODEL"""

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Quiet, Verbose, columns, pairs
from pushforward.cli.output import command, print_json, say


@command
def fit(
    data: Annotated[str, typer.Argument(help="Table to fit (.csv, .parquet, .feather).", show_default=False)],
    output: Annotated[str, typer.Option("--output", "-o", help="Model file to write (.safetensors).")],
    flow: Annotated[
        str | None,
        typer.Option(
            help="Architecture: nsf, maf, mixture_cdf, realnvp, nice, iaf, planar, radial, sylvester; default chosen, "
            "size and training included, from the table and the time."
        ),
    ] = None,
    names: Annotated[str | None, typer.Option("--columns", help="Columns to model, a,b,c; default all others.")] = None,
    given: Annotated[str, typer.Option(help="Columns to condition on, a,b,c: p(rest | given).")] = "",
    schema: Annotated[
        str | None, typer.Option(help="JSON file that says what some columns are; default learned from the table.")
    ] = None,
    arbitrary_conditions: Annotated[
        bool,
        typer.Option("--arbitrary-conditions", help="Learn p(any columns | any others); tables with gaps always do."),
    ] = False,
    weight: Annotated[str | None, typer.Option(help="Column of row weights, which is not modelled.")] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(help="x=x_err: column x was measured with the errors in column x_err; may be repeated."),
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(help="Most seconds of training; default until it stops gaining.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes the run repeat.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="32-true, 64-true or bf16-mixed.")] = "32-true",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from MODEL.checkpoint, which a killed fit leaves behind.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of a table: p(columns), or p(columns | given)."""
    from pushforward.store.model_file import check_model_path
    from pushforward.table_models.fitting import fit_table

    check_model_path(output)
    log_path = Path(output).with_suffix(".metrics.csv")
    checkpoint = Path(output).with_suffix(".checkpoint")
    if resume and not checkpoint.exists():
        say(f"there is no {checkpoint} to go on from: the fit begins anew", quiet)
    elif checkpoint.exists() and not resume:
        say(f"{checkpoint} of an unfinished fit will be overwritten; --resume would go on from it", quiet)
    result = fit_table(
        data,
        columns=columns(names),
        given=columns(given) or [],
        flow=flow,
        schema=schema,
        arbitrary_conditions=arbitrary_conditions,
        weight=weight,
        errors=pairs(error, "--error"),
        seed=seed,
        max_time=max_time,
        announce=lambda line: say(line, quiet),
        device=device,
        precision=precision,
        progress=False if quiet else None,
        log_path=log_path,
        checkpoint=checkpoint,
        resume=resume,
    )
    result.model.save(output)
    interrupted = result.history.stopped == "interrupted"
    if not interrupted:
        # Only now: until the model is written, the checkpoint is all that there is.
        checkpoint.unlink(missing_ok=True)
    notes = result.model.notes
    if json:
        about = {"columns": result.model.columns, "given": result.model.given, **notes}
        print_json({"model": output, "metrics": str(log_path), "flow": notes["flow"], **about})
    ending = "interrupted: the best so far is kept" if interrupted else result.history.stopped
    if interrupted and checkpoint.exists():
        say(f"--resume goes on from {checkpoint}", quiet)
    say(
        f"{notes['flow']} over {len(result.model.columns)} columns of {data}: {notes['rows']['training']} rows to "
        f"train, {notes['rows']['held_out']} held out, {notes['steps']} steps in {notes['seconds']:.1f} s ({ending})",
        quiet,
    )
    gain = "" if result.gaussian is None else f", {result.held_out - result.gaussian:+.3f} against a Gaussian"
    say(f"held-out log-likelihood {result.held_out:.3f} nats per row{gain}; model in {output}", quiet)

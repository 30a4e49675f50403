"""pushforward export MODEL -o model.onnx"""

from typing import Annotated

import typer

from pushforward.cli.options import Model, Quiet, Verbose
from pushforward.cli.output import command, say

Exported = Annotated[str, typer.Option("--output", "-o", help="File to write; its suffix is the form: .json or .onnx.")]
Functions = Annotated[
    str | None,
    typer.Option(
        help="What an ONNX file computes: log_prob (default), sample, to_latent, to_data, quantile, or several with "
        "commas between them."
    ),
]
Precision = Annotated[str | None, typer.Option(help="Of an ONNX file: float64 (default) or float32.")]


@command
def export(
    model: Model,
    output: Exported,
    functions: Functions = None,
    precision: Precision = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a model for other programs: as ONNX, or as JSON for JavaScript."""
    from pushforward.exports.writing import export as write

    path = write(model, output, functions=functions, precision=precision)
    say(f"{model} was written as {path}, {path.stat().st_size / 1e6:.2f} MB.", quiet=quiet)

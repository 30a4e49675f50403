"""pushforward export MODEL -o model.json"""

from typing import Annotated

import typer

from pushforward.cli.options import Model, Quiet, Verbose
from pushforward.cli.output import command, say

Exported = Annotated[str, typer.Option("--output", "-o", help="File to write; its suffix is the form: .json.")]


@command
def export(model: Model, output: Exported, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Write a model for other programs: as JSON for JavaScript."""
    from pushforward.exports.writing import export as write

    path = write(model, output)
    say(f"{model} was written as {path}, {path.stat().st_size / 1e6:.2f} MB.", quiet=quiet)

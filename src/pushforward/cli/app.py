"""The commands of `pushforward`, as one application of Typer."""

import importlib.machinery
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.compare import compare
from pushforward.cli.distill import distill
from pushforward.cli.drift import drift
from pushforward.cli.fit import fit
from pushforward.cli.impute import impute
from pushforward.cli.info import info
from pushforward.cli.posterior import posterior
from pushforward.cli.report import report
from pushforward.cli.sample import sample
from pushforward.cli.score import score
from pushforward.cli.speech import app as speech
from pushforward.cli.usage import Commands
from pushforward.version import __version__

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich's help takes twice as long to print.
    rich_markup_mode=None,
    help="Normalizing flows: from a table to its exact density.",
)
for function in (fit, score, sample, impute, posterior, distill, report, compare, drift, info):
    app.command()(function)
app.add_typer(speech, name="speech")


def _print_version(wanted: bool) -> None:
    if wanted:
        # Found, not loaded: loading them takes torch.
        folder = str(Path(__file__).parent.parent / "kernels")
        found = importlib.machinery.PathFinder.find_spec("_native", [folder]) is not None
        typer.echo(f"pushforward {__version__} ({'with' if found else 'without'} compiled kernels)")
        raise typer.Exit


@app.callback()
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass

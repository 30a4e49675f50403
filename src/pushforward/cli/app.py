"""The commands of `pushforward`, as one application of Typer."""

from typing import Annotated

import typer

from pushforward.cli.card import card
from pushforward.cli.compare import compare
from pushforward.cli.distill import distill
from pushforward.cli.drift import drift
from pushforward.cli.evidence import evidence
from pushforward.cli.export import export
from pushforward.cli.fit import fit
from pushforward.cli.image import app as image
from pushforward.cli.impute import impute
from pushforward.cli.info import info
from pushforward.cli.information import information
from pushforward.cli.output import command
from pushforward.cli.posterior import posterior
from pushforward.cli.report import report
from pushforward.cli.sample import sample
from pushforward.cli.score import score
from pushforward.cli.speech import app as speech
from pushforward.cli.tension import tension
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
OF_TABLES = (fit, score, sample, impute, posterior, distill, report, compare, drift, info, card, export)
OF_CHAINS = (evidence, information, tension)
for function in (*OF_TABLES, *OF_CHAINS):
    app.command()(function)
app.add_typer(speech, name="speech")
app.add_typer(image, name="image")


def _print_version(wanted: bool) -> None:
    if wanted:
        _version_and_kernels()
        raise typer.Exit


@command
def _version_and_kernels() -> None:
    from pushforward.kernels import native

    kernels = "without compiled kernels" if native is None else f"compiled kernels: {native.instructions}"
    typer.echo(f"pushforward {__version__} ({kernels})")


@app.callback()
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass

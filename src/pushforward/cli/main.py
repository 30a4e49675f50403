"""The command `pushforward`."""

import importlib.machinery
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.allocator import keep_memory
from pushforward.cli.compare import compare
from pushforward.cli.distill import distill
from pushforward.cli.drift import drift
from pushforward.cli.ending import end_at_once
from pushforward.cli.fit import fit
from pushforward.cli.impute import impute
from pushforward.cli.info import info
from pushforward.cli.output import TERMINATED, Terminated
from pushforward.cli.posterior import posterior
from pushforward.cli.processors import share_processors
from pushforward.cli.report import report
from pushforward.cli.sample import sample
from pushforward.cli.score import score
from pushforward.cli.speech import app as speech
from pushforward.cli.streams import open_standard_streams
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


def run() -> None:
    """Run the command line."""
    keep_memory()
    share_processors()
    open_standard_streams()
    signal.signal(signal.SIGTERM, _end)
    end_with = end_at_once()
    try:
        app()
    except SystemExit as ending:
        end_with(ending.code if isinstance(ending.code, int) else int(ending.code is not None))
        raise
    except Terminated:
        # Outside of a command nothing is being written.
        end_with(TERMINATED)
        sys.exit(TERMINATED)


def _end(*_: object) -> None:
    """End by an exception, so that files that are being written are removed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated

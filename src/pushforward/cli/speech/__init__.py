"""The commands `pushforward speech ...`."""

import typer

from pushforward.cli.speech.distill import distill
from pushforward.cli.speech.fit import fit
from pushforward.cli.speech.report import report
from pushforward.cli.speech.sample import sample
from pushforward.cli.speech.vocode import vocode

app = typer.Typer(
    no_args_is_help=True, help="Models of recordings: a WaveNet, and a parallel WaveNet distilled from it."
)
for function in (fit, distill, sample, vocode, report):
    app.command()(function)

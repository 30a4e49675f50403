"""The commands `pushforward image ...`."""

import typer

from pushforward.cli.image.fit import fit
from pushforward.cli.image.inpaint import inpaint
from pushforward.cli.image.interpolate import interpolate
from pushforward.cli.image.sample import sample
from pushforward.cli.image.score import score

app = typer.Typer(no_args_is_help=True, help="Models of images: exact log-densities and draws, in bits per dimension.")
for function in (fit, score, sample, interpolate, inpaint):
    app.command()(function)

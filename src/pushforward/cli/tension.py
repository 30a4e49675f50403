"""pushforward tension A B"""

from typing import Annotated

import typer

from pushforward.cli.chain_options import CHAIN, ChainChoices
from pushforward.cli.options import Json, Quiet, Verbose
from pushforward.cli.output import command, print_json, say


@command
def tension(
    a: Annotated[str, typer.Argument(help=CHAIN, metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(help="Another one, of independent data.", metavar="B", show_default=False)],
    choices: ChainChoices = ChainChoices(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find out by how many sigmas two posteriors of the same parameters differ."""
    from dataclasses import asdict

    from pushforward.chains.tension import tension as tension_between

    found = tension_between(a, b, **choices.options(quiet))
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)

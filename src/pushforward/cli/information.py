"""pushforward information A [B]"""

from typing import Annotated

import typer

from pushforward.cli.chain_options import CHAIN, ChainChoices
from pushforward.cli.options import Json, Quiet, Verbose, columns
from pushforward.cli.output import command, print_json, say


@command
def information(
    a: Annotated[str, typer.Argument(help=CHAIN, metavar="A", show_default=False)],
    b: Annotated[
        str | None, typer.Argument(help="Another one, for the divergence KL(A‖B).", metavar="[B]", show_default=False)
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Groups of parameters, a,b:c, for their mutual information.", show_default=False),
    ] = None,
    choices: ChainChoices = ChainChoices(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Estimate the entropy of samples, their divergence from others, or what groups of parameters share."""
    from dataclasses import asdict

    from pushforward.chains.information import information as information_of

    of_groups = None if groups is None else [columns(group) or [] for group in groups.split(":")]
    found = information_of(a, b, groups=of_groups, **choices.options(quiet))
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)

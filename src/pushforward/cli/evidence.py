"""pushforward evidence CHAIN"""

from typing import Annotated

import typer

from pushforward.cli.chain_options import CHAIN, ChainChoices
from pushforward.cli.options import Json, Quiet, Verbose
from pushforward.cli.output import command, print_json, say


@command
def evidence(
    chain: Annotated[str, typer.Argument(help=CHAIN, metavar="CHAIN", show_default=False)],
    choices: ChainChoices = ChainChoices(),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Estimate the evidence from the samples of a posterior and their log-posteriors."""
    from dataclasses import asdict

    from pushforward.chains.evidence import evidence as evidence_of

    found = evidence_of(chain, **choices.options(quiet))
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)

"""pushforward evidence CHAIN"""

from typing import Annotated

import typer

from pushforward.cli.chain_options import CHAIN, ChainChoices
from pushforward.cli.functions import function_of
from pushforward.cli.options import Json, Quiet, Verbose
from pushforward.cli.output import command, print_json, say


@command
def evidence(
    chain: Annotated[str, typer.Argument(help=CHAIN, metavar="CHAIN", show_default=False)],
    choices: ChainChoices = ChainChoices(),
    log_density: Annotated[
        str | None,
        typer.Option(
            help="A function of a Python file, of (m, D) parameters to (m,) values of log prior times likelihood, "
            "for importance and bridge estimates too.",
            metavar="FILE.py:FUNCTION",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Estimate the evidence from the samples of a posterior and their log-posteriors."""
    from dataclasses import asdict

    from pushforward.chains.evidence import evidence as evidence_of

    target = None if log_density is None else function_of(log_density, "--log-density")
    found = evidence_of(chain, log_density=target, **choices.options(quiet))
    if json:
        print_json(asdict(found))
    for sentence in found.sentences:
        say(sentence, quiet)

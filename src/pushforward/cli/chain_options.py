"""How a command reads chains and fits densities to them: the options that evidence, information and tension share."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pushforward.cli.options import MaxTime, Seed, columns, pairs
from pushforward.cli.output import say
from pushforward.errors import InputError

CHAIN = (
    "Samples: the root or the folder of chains of GetDist or Cobaya, a file of emcee (.h5) or ArviZ (.nc), or a table "
    "(.csv, .parquet, ...)."
)

BOUNDS = "parameter=low:high"


@dataclass(frozen=True)
class ChainChoices:
    """How chains are read, and their densities fitted."""

    parameters: Annotated[
        str | None,
        typer.Option("--columns", help="Parameters, a,b,c; by default all that were sampled.", show_default=False),
    ] = None
    weight: Annotated[
        str | None, typer.Option(help="Column of the weights of a table; by default weight, if there is one.")
    ] = None
    log_posterior: Annotated[
        str | None, typer.Option(help="Column of log prior times likelihood; by default log_posterior, or log_prob.")
    ] = None
    log_likelihood: Annotated[
        str | None, typer.Option(help="Column of the log-likelihood, to which --log-prior is added.")
    ] = None
    log_prior: Annotated[str | None, typer.Option(help="Column of the log of the normalized prior.")] = None
    walk: Annotated[
        str | None, typer.Option("--chain", help="Column with the number of the Markov chain of each row.")
    ] = None
    bounds: Annotated[
        list[str] | None,
        typer.Option(help="Where the prior of a parameter ends, a=0:1, or a=0: for no upper end; once for each."),
    ] = None
    burn_in: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of each Markov chain to drop from its start.")
    ] = 0.0
    independent: Annotated[
        bool, typer.Option("--independent", help="The rows are independent, as those of nested samplers.")
    ] = False
    flow: Annotated[
        str | None,
        typer.Option(help="Architecture of the density, or gaussian; by default it is chosen by the rows."),
    ] = None
    max_time: MaxTime = None
    seed: Seed = 0

    def options(self, quiet: bool) -> dict[str, Any]:
        """The options of `pushforward.evidence` and others."""
        return {
            "columns": columns(self.parameters),
            "weight": self.weight,
            "log_posterior": self.log_posterior,
            "log_likelihood": self.log_likelihood,
            "log_prior": self.log_prior,
            "walk": self.walk,
            "bounds": {name: _ends(name, text) for name, text in pairs(self.bounds, "--bounds", BOUNDS).items()},
            "burn_in": self.burn_in,
            "independent": self.independent,
            "flow": self.flow,
            "max_time": self.max_time,
            "seed": self.seed,
            "progress": False if quiet else None,
            "announce": functools.partial(say, quiet=quiet),
        }


def _ends(name: str, text: str) -> tuple[float | None, float | None]:
    """The bounds in "0:1", of which one may be left out."""
    parts = text.split(":")
    try:
        low, high = (float(part) if part.strip() else None for part in parts)
    except ValueError:
        raise InputError(f"--bounds takes {BOUNDS}, such as {name}=0:1, not {name}={text}.") from None
    return low, high

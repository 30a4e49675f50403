"""The options that several commands share, and the values that their texts stand for."""

from typing import Annotated

import typer

from pushforward.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bar and no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
Model = Annotated[str, typer.Argument(help="Model file (.safetensors).", metavar="MODEL", show_default=False)]
Output = Annotated[
    str,
    typer.Option("--output", "-o", help="Table to write (.csv, .parquet, .feather); - is CSV on standard output."),
]
ModelOutput = Annotated[str, typer.Option("--output", "-o", help="Model file to write (.safetensors).")]
MaxTime = Annotated[float | None, typer.Option(help="Most seconds of training; by default training ends by itself.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers: the same seed gives the same result.")]
SeedOfDraws = Annotated[int | None, typer.Option(help="Seed of the draws; by default every run draws different ones.")]
Device = Annotated[str, typer.Option(help="Where to train: auto, cpu or cuda.")]


def columns(text: str | None) -> list[str] | None:
    """The names in "a,b,c"."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """The names in "x=y", one pair for each text."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, other = (part.strip() for part in text.partition("="))
        if not (name and equals and other) or name in found:
            raise InputError(f"{option} takes column=column, once for each column, not {text!r}.")
        found[name] = other
    return found


def numbers(text: str | None, option: str) -> list[float] | None:
    """The numbers in "0.1,0.5,0.9"."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} takes numbers separated by commas, not {text!r}.") from None

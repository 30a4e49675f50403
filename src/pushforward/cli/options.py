"""Options that several commands share."""

from typing import Annotated

import typer

from pushforward.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
Output = Annotated[
    str, typer.Option("--output", "-o", help="File to write (.csv, .parquet, .feather), - for CSV to standard output.")
]
Model = Annotated[str, typer.Argument(help="Model file (.safetensors).", show_default=False)]


def columns(text: str | None) -> list[str] | None:
    """The names in "a,b,c"."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """The names in "x=y", one pair for each text."""
    found = {}
    for text in texts or ():
        name, equals, other = (part.strip() for part in text.partition("="))
        if not (name and equals and other) or name in found:
            raise InputError(f"{option} takes column=column, once for each column, not {text!r}.")
        found[name] = other
    return found

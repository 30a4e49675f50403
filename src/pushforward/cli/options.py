"""Options that several commands share."""

from typing import Annotated

import typer

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

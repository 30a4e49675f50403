"""The options that several commands share, and the values that their texts stand for."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from pushforward.cli.usage import positive
from pushforward.errors import InputError
from pushforward.support.arguments import LARGEST_SEED

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bar and no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
Model = Annotated[
    str,
    typer.Argument(help="Model file (.safetensors), or the folder of its card.", metavar="MODEL", show_default=False),
]
Output = Annotated[
    str,
    typer.Option("--output", "-o", help="Table to write (.csv, .parquet, .feather); - is CSV on standard output."),
]
ModelOutput = Annotated[str, typer.Option("--output", "-o", help="Model file to write (.safetensors).")]
MaxTime = Annotated[
    float | None,
    typer.Option(callback=positive, help="Most seconds of training; by default training ends by itself."),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=LARGEST_SEED, help="Seed of all random numbers: the same seed gives the same result."),
]
MostRows = Annotated[int, typer.Option(min=20, help="Most rows of a table to look at, chosen by the seed.")]
SeedOfDraws = Annotated[
    int | None,
    typer.Option(min=0, max=LARGEST_SEED, help="Seed of the draws; by default every run draws different ones."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Resume from the .checkpoint beside the output, of a killed training."),
]
Device = Annotated[str, typer.Option(help="Where to train: auto, cpu, cuda or mps.")]
Engine = Annotated[
    str | None,
    typer.Option(help="ray: work on the Ray cluster that RAY_ADDRESS names, or else on one of all processors here."),
]
FitEngine = Annotated[
    str | None,
    typer.Option("--engine", help="ray: fit in processes that Ray Train starts on the cluster that RAY_ADDRESS names."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of processes, with --engine ray; default 1.")]

# The names of a table's columns, which are looked up only where a text may be read in two ways.
Names = Callable[[], Sequence[str]]


def columns(text: str | None, names: Names = tuple) -> list[str] | None:
    """The names in 'a,b,"c, in m"', which are quoted as in a CSV file; one name as it is, if there is such a column."""
    if text is None:
        return None
    if "," in text and text.strip() in names():
        return [text.strip()]
    return [name for name in _cells(text, ",") if name]


def column(text: str | None, names: Names = tuple) -> str | None:
    """One name, which may be quoted as among others."""
    if text is None or '"' not in text or text in names():
        return text
    cells = _cells(text, ",")
    return cells[0] if len(cells) == 1 else text


def pairs(texts: list[str] | None, option: str, form: str = "column=column") -> dict[str, str]:
    """The names in "x=y", one pair for each text."""
    found: dict[str, str] = {}
    for text in texts or ():
        cells = _cells(text, "=")
        if len(cells) != 2 or not all(cells) or cells[0] in found:
            raise InputError(f"{option} takes {form}, once for each {form.split('=')[0]}, not {text!r}.")
        found[cells[0]] = cells[1]
    return found


def _cells(text: str, separator: str) -> list[str]:
    """The parts of a text, of which some may be quoted."""
    part = re.compile(rf'\s*(?:"((?:[^"]|"")*)"|([^{separator}]*?))\s*({separator}|$)')
    cells: list[str] = []
    place, more = 0, True
    while more and (found := part.match(text, place)):
        quoted, bare, end = found.groups()
        cells.append(bare if quoted is None else quoted.replace('""', '"').strip())
        place, more = found.end(), bool(end)
    return cells


def numbers(text: str | None, option: str) -> list[float] | None:
    """The numbers in "0.1,0.5,0.9"."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} takes numbers separated by commas, not {text!r}.") from None

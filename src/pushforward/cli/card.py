"""pushforward card MODEL -o FOLDER"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Quiet, Verbose
from pushforward.cli.output import command, print_json, say
from pushforward.errors import InputError


@command
def card(
    model: Model,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a folder for the hub of Hugging Face: a card, the config and the model."""
    from pushforward.store.card import card as write
    from pushforward.store.description import describe
    from pushforward.table_models.model import TableModel

    if output == "-":
        raise InputError("A card is a folder of files, which standard output cannot hold; name a folder with -o.")
    notes = describe(model)["notes"]
    if isinstance(notes, dict) and "schema" in notes:
        TableModel.load(model)  # a damaged one is not published
    folder = write(model, output)
    if json:
        print_json({"output": str(folder), "files": sorted(path.name for path in folder.iterdir() if path.is_file())})
    say(f"card in {folder}: add the license and the intended use to its README.md before you publish it", quiet)

"""pushforward image sample MODEL -n N -o PICTURE"""

from typing import Annotated

import typer

from pushforward.cli.image.options import OfClass
from pushforward.cli.options import Json, Model, Quiet, SeedOfDraws, Verbose
from pushforward.cli.output import command, counted, print_json, progress, say


@command
def sample(
    model: Model,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Picture of all draws (.png), or an array of them (.npz).")
    ],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Number of images.")] = 100,
    of_class: OfClass = None,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw images; of a model that knows classes, each class in turn, whose names an array has beside the images."""
    from pushforward.images.files import grid, is_array_path, write_array, write_image
    from pushforward.images.model import ImageModel

    as_array = is_array_path(output)
    known = ImageModel.load(model)
    with progress("sampling", quiet) as report:
        drawn = known.sample(number, of_class, seed, report)
    if as_array:
        write_array(output, drawn, known.classes_of_draws(number, of_class))
    else:
        columns = len(known.classes) if known.classes and of_class is None and len(known.classes) <= number else None
        write_image(output, grid(drawn, columns))
    if json:
        print_json({"output": output, "images": number, "shape": list(known.shape)}, output)
    say(f"{counted(number, 'image')} in {output}", quiet)

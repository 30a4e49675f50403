"""pushforward image interpolate MODEL A B -o PICTURE"""

from typing import Annotated

import typer

from pushforward.cli.image.options import OfClass, Picture, Size, size_of
from pushforward.cli.options import Json, Model, Quiet, Verbose
from pushforward.cli.output import command, print_json, say


@command
def interpolate(
    model: Model,
    first: Annotated[str, typer.Argument(help="Image at one end.", metavar="A", show_default=False)],
    last: Annotated[str, typer.Argument(help="Image at the other.", metavar="B", show_default=False)],
    output: Picture,
    steps: Annotated[int, typer.Option(min=2, help="Images, both ends among them.")] = 8,
    of_class: OfClass = None,
    size: Size = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw the way from one image to another, along an arc between their latent features."""
    from pushforward.images.files import check_image_path, grid, read_image, write_image
    from pushforward.images.model import ImageModel
    from pushforward.images.painting import interpolate as between

    check_image_path(output)
    known = ImageModel.load(model)
    one, other = (known.check(read_image(name, size_of(size)), name).pixels[0] for name in (first, last))
    drawn = between(known, one, other, steps, known.context_of(of_class, 2))
    write_image(output, grid(drawn, columns=steps))
    if json:
        print_json({"output": output, "images": steps}, output)
    say(f"{steps} images in {output}", quiet)

"""pushforward image inpaint MODEL IMAGE --mask MASK -o PICTURE"""

from typing import Annotated

import typer

from pushforward.cli.image.options import OfClass, Picture, Size, size_of
from pushforward.cli.options import Json, Model, Quiet, SeedOfDraws, Verbose
from pushforward.cli.output import command, print_json, progress, say
from pushforward.support.wording import counted


@command
def inpaint(
    model: Model,
    image: Annotated[str, typer.Argument(help="Image.", metavar="IMAGE", show_default=False)],
    mask: Annotated[
        str,
        typer.Option(help="Image of the same size, white (128 or more of 255) where pixels are to be drawn."),
    ],
    output: Picture,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Number of images, in rows of one picture.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each image on the exact density, at the end.")] = 200,
    of_class: OfClass = None,
    size: Size = None,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw some pixels of an image given the others, by a population of images and the exact density."""
    from pushforward.images.files import check_image_path, grid, read_image, write_image
    from pushforward.images.model import ImageModel
    from pushforward.images.painting import inpaint as painted
    from pushforward.images.painting import white_pixels

    check_image_path(output)
    known, wanted = ImageModel.load(model), size_of(size)
    pixels = known.check(read_image(image, wanted), image).pixels[0]
    unknown = white_pixels(read_image(mask, wanted), mask)
    with progress("inpainting", quiet) as report:
        found = painted(
            known,
            pixels,
            unknown,
            number,
            steps=steps,
            context=known.context_of(of_class, 1),
            seed=seed,
            report=report,
        )
    write_image(output, found.pixels[0] if number == 1 else grid(found.pixels))
    before, after = found.log_probs
    if json:
        figures = {"accepted": found.accepted, "log_prob_before": before, "log_prob_after": after}
        figures |= {"levels": found.levels, "ancestors": found.ancestors}
        print_json({"output": output, "pixels": int(unknown.sum()), **figures}, output)
    say(
        f"{counted(int(unknown.sum()), 'pixel')} drawn, {found.accepted:.0%} of {counted(steps, 'step')} accepted, "
        f"all from {counted(found.ancestors, 'draw')} of the model; in {output}",
        quiet,
    )

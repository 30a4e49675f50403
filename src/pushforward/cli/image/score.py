"""pushforward image score MODEL IMAGES -o TABLE"""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.image.options import OfClass, Size, Source, bound, size_of
from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, counted, place, print_json, progress, say
from pushforward.errors import InputError
from pushforward.support.suggestions import quoted

if TYPE_CHECKING:
    from pushforward.images.files import Images
    from pushforward.images.recognition import Recognition


@command
def score(
    model: Model,
    images: Source,
    output: Output,
    of_class: OfClass = None,
    posterior: Annotated[
        bool,
        typer.Option(
            "--posterior",
            help="Of a model that knows classes: add probability_NAME, P(class | image) by Bayes' rule, for each; "
            "log_prob is then that of the image whatever its class.",
        ),
    ] = False,
    size: Size = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table with the log-density of each image, in nats, and its bits per dimension."""
    import pyarrow as pa

    from pushforward.images.copies import mean_of_distinct, numbers_of_distinct
    from pushforward.images.files import read_images
    from pushforward.images.model import ImageModel
    from pushforward.images.recognition import recognition
    from pushforward.tables import TableWriter

    known = ImageModel.load(model)
    found = known.check(read_images(images, size_of(size)), images)
    if posterior and of_class is not None:
        raise InputError("--posterior takes every class into account: leave --class out.")
    names = ["log_prob", "bits_per_dim", *(f"probability_{name}" for name in known.classes if posterior)]
    schema = pa.schema([("image", pa.string()), *((name, pa.float64()) for name in names)])
    # A table that cannot be written is refused before the work.
    with TableWriter(output, schema) as writer, progress("scoring", quiet) as report:
        joint = known.log_joint(found, report) if posterior else None
        if joint is not None:
            bits = (joint.logsumexp(1) / (-math.log(2) * known.density.features)).numpy()
        else:
            context = known.contexts_of(found) if of_class is None else known.context_of(of_class, len(found))
            bits = known.bits_per_dim(found, context, report).double().numpy()
        log_prob = -bits * math.log(2) * known.density.features
        probabilities = [] if joint is None else list(joint.softmax(1).double().numpy().T)
        writer.write(pa.table([found.names, log_prob, bits, *probabilities], schema))
    numbers = numbers_of_distinct(found.pixels)
    (mean, error), distinct = mean_of_distinct(bits, numbers), int(numbers.max()) + 1
    recognized = None if joint is None else recognition(joint, found, known.classes)
    if json:
        result = {"output": output, "images": len(bits), "distinct_images": distinct, "bits_per_dim": mean}
        result |= {"bits_per_dim_error": error, "log_prob": mean * -math.log(2) * known.density.features}
        if recognized is not None:
            result |= {"recognized": recognized.share, "unknown_classes": recognized.unknown}
        print_json(result, output)
    copies = f" ({distinct:,} of them distinct, which count once)" if distinct < len(bits) else ""
    say(f"{counted(len(bits), 'image')}{copies}: {bound(mean, error)}; table {place(output)}", quiet)
    if joint is not None and (recognized is not None or found.obstacle):
        say(_recognized(recognized, found), quiet)


def _recognized(found: "Recognition | None", images: "Images") -> str:
    """How many images have their own class as the most probable one, for people."""
    if found is None:
        return f"how many are recognized is not known: {images.obstacle}"
    unknown = ", ".join(map(quoted, found.unknown))
    if found.share is None:
        return f"how many are recognized is not known: the model knows none of their classes ({unknown})"
    if not unknown:
        return f"{found.share:.1%} have their own class as the most probable one"
    return (
        f"{found.share:.1%} of {found.images:,} whose class the model knows have it as the most probable one; "
        f"{counted(len(images) - found.images, 'image')} of classes that it does not know: {unknown}"
    )

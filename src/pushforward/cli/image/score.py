"""pushforward image score MODEL IMAGES -o TABLE"""

import math

from pushforward.cli.image.options import OfClass, Size, Source, size_of, with_error
from pushforward.cli.options import Json, Model, Output, Quiet, Verbose
from pushforward.cli.output import command, counted, place, print_json, progress, say


@command
def score(
    model: Model,
    images: Source,
    output: Output,
    of_class: OfClass = None,
    size: Size = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a table with the log-density of each image, in nats, and its bits per dimension."""
    import numpy as np

    from pushforward.images.files import read_images
    from pushforward.images.model import ImageModel
    from pushforward.tables import TableWriter
    from pushforward.tables.frames import to_table

    known = ImageModel.load(model)
    found = known.check(read_images(images, size_of(size)), images)
    context = known.contexts_of(found) if of_class is None else known.context_of(of_class, len(found))
    with progress("scoring", quiet) as report:
        bits = known.bits_per_dim(found, context, report).double().numpy()
    log_prob = -bits * math.log(2) * known.density.features
    table = to_table(np.stack([log_prob, bits], 1), ["log_prob", "bits_per_dim"])
    table = table.add_column(0, "image", [found.names])
    with TableWriter(output, table.schema) as writer:
        writer.write(table)
    mean, error = float(bits.mean()), float(bits.std(ddof=1) / len(bits) ** 0.5) if len(bits) > 1 else math.nan
    if json:
        result = {"output": output, "images": len(bits), "bits_per_dim": mean, "bits_per_dim_error": error}
        print_json({**result, "log_prob": float(log_prob.mean())}, output)
    say(
        f"{counted(len(bits), 'image')}: {with_error(mean, error)} bits per dimension, at most; table {place(output)}",
        quiet,
    )

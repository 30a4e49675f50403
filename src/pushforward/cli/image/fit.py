"""pushforward image fit IMAGES -o MODEL"""

from typing import Annotated

import typer

from pushforward.cli.image.options import Size, Source, bound, size_of
from pushforward.cli.options import Device, Json, MaxTime, ModelOutput, Quiet, Resume, Seed, Verbose
from pushforward.cli.output import (
    command,
    counted,
    course,
    metrics_path,
    print_json,
    release_checkpoint,
    say,
    say_course,
)


@command
def fit(
    images: Source,
    output: ModelOutput,
    flow: Annotated[
        str | None,
        typer.Option(help="glow, realnvp_image or tarflow; by default glow where both sides are even."),
    ] = None,
    by_class: Annotated[
        bool, typer.Option("--by-class", help="Condition on classes: P(image | folder), or labels of an array.")
    ] = False,
    size: Size = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Seed = 0,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of images: P(image), or P(image | class)."""
    from pushforward.images.files import read_images
    from pushforward.images.fitting import fit_images
    from pushforward.store.model_file import check_model_path

    check_model_path(output)
    found = read_images(images, size_of(size))
    with course(output, quiet, resume) as kept:
        result = fit_images(
            found,
            flow=flow,
            by_class=by_class,
            max_time=max_time,
            device=device,
            seed=seed,
            **kept,
        )
        result.model.density.cpu()
        result.model.save(output)
    ending = release_checkpoint(output, result.history.stopped)
    if json:
        print_json({"model": output, "metrics": str(metrics_path(output)), **result.model.notes}, output)
    history, (bits, error) = result.history, result.bits
    say(f"{counted(history.steps, 'step')} in {history.total_seconds:.1f} s ({history.stopped})", quiet)
    say(f"  {'independent pixels':20} {result.independent:8.3f} bits per dimension", quiet)
    say(f"  {'this model':23} {bound(bits, error)} (images held out)", quiet)
    for line in [*ending, f"model in {output}"]:
        say(line, quiet)
    say_course(history, quiet)

"""The options that the commands for images share, and the values that their texts stand for."""

import math
import re
from typing import Annotated

import typer

from pushforward.errors import InputError

IMAGES = "an image, a folder of images, a folder of folders, one for each class, or an array (.npy, .npz)"
Source = Annotated[str, typer.Argument(help=f"Images: {IMAGES}.", metavar="IMAGES", show_default=False)]
Size = Annotated[str | None, typer.Option(help="Resize images to HEIGHTxWIDTH pixels.")]
Picture = Annotated[str, typer.Option("--output", "-o", help="Picture to write (.png).")]
OfClass = Annotated[str | None, typer.Option("--class", help="Class of the images, of a model that knows classes.")]


def bound(mean: float, error: float) -> str:
    """A mean bound on the bits per dimension, for people; that of a single image has no known error.

    Example:
        >>> bound(1.5, 0.25)
        '1.500 ± 0.250 bits per dimension, at most, within that error'
        >>> bound(1.5, float("nan"))
        '1.500 bits per dimension, with an unknown error: the noise of one image'
    """
    if math.isnan(error):
        return f"{mean:.3f} bits per dimension, with an unknown error: the noise of one image"
    return f"{mean:.3f} ± {error:.3f} bits per dimension, at most, within that error"


def size_of(text: str | None) -> tuple[int, int] | None:
    """The height and the width in "28x28"."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3})[x×]([1-9]\d{0,3})", text.strip())
    if found is None:
        raise InputError(f"--size takes HEIGHTxWIDTH, such as 28x28, not {text!r}.")
    return int(found[1]), int(found[2])

"""The classes of the images of an array: a vector beside them, or the reason why what is beside them is none."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted


class Labels(NamedTuple):
    """The classes of n images.

    Attributes:
        numbers: of the class of each image, (n,), or None.
        classes: the names of the classes.
        obstacle: why there are none, though something like them was found, as a sentence; else "".
    """

    numbers: np.ndarray | None = None
    classes: Sequence[str] = ()
    obstacle: str = ""


def labels_among(arrays: Mapping[str, np.ndarray], count: int) -> Labels:
    """The labels among the arrays beside some images: the one vector of a whole number or a name for each image.

    Arguments:
        arrays: by name.
        count: n, how many images there are.

    Example:
        >>> labels_among({"kind": np.array(["cat", "dog", "cat"])}, 3).classes
        ['cat', 'dog']
        >>> labels_among({"kind": np.array([0.0, 1.0])}, 2).obstacle
        'the array kind holds float64, and classes are whole numbers or names'
    """
    found = [name for name, array in arrays.items() if _obstacle(array, count) is None]
    if len(found) == 1:
        classes, numbers = np.unique(arrays[found[0]], return_inverse=True)
        return Labels(numbers.reshape(-1), [str(one) for one in classes])
    if found:
        return Labels(obstacle=f"the arrays {' and '.join(map(quoted, found))} could each be the classes: leave one")
    # A single number, or an array of one for each pixel, is something else.
    near = {name: array for name, array in arrays.items() if array.ndim in (1, 2)}
    reasons = [f"the array {quoted(name)} {_obstacle(array, count)}" for name, array in near.items()]
    return Labels(obstacle="; ".join(reasons))


def _obstacle(array: np.ndarray, count: int) -> str | None:
    """Why an array holds no classes of so many images, as the end of a sentence; None if it does."""
    if array.shape != (count,):
        shape = f"{len(array):,} entries" if array.ndim == 1 else f"the shape {array.shape}"
        return f"has {shape}, and classes are a vector of one for each of {counted(count, 'image')}"
    if array.dtype.kind not in "iubU":
        return f"holds {array.dtype}, and classes are whole numbers or names"
    return None

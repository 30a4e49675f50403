"""Arguments of public functions that are refused in one sentence: shapes of draws, numbers, and names of files."""

import contextlib
import numbers
import operator
import os
import re
from collections.abc import Iterable
from pathlib import Path

from pushforward.errors import InputError

# What every generator of random numbers takes.
LARGEST_SEED = 2**63 - 1
# A path of pathlib has one of the two strokes, and a letter by itself is a drive.
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/")


def draws_shape(shape: object) -> tuple[int, ...]:
    """How many draws are asked for, dimension by dimension.

    Arguments:
        shape: a whole number, or several, none of them negative.

    Raises:
        InputError: anything else.

    Example:
        >>> draws_shape(5), draws_shape((2, 3)), draws_shape(())
        ((5,), (2, 3), ())
        >>> draws_shape((-5,))
        Traceback (most recent call last):
        pushforward.errors.InputError: The shape of draws is (-5,), but a number of draws cannot be negative.
    """
    sizes: tuple[int, ...] | None = None
    # Numbers of numpy, and tensors of one, are whole numbers as well.
    with contextlib.suppress(TypeError):
        sizes = (operator.index(shape),)  # type: ignore[arg-type]
    if sizes is None and isinstance(shape, Iterable):
        with contextlib.suppress(TypeError):
            sizes = tuple(map(operator.index, shape))
    if sizes is None:
        raise InputError(
            "The shape of draws is a whole number or a tuple of whole numbers, such as (1000,), not "
            f"{str(shape)[:100]!r} ({type(shape).__name__})."
        )
    if any(size < 0 for size in sizes):
        raise InputError(f"The shape of draws is {sizes}, but a number of draws cannot be negative.")
    return sizes


def is_number(value: object) -> bool:
    """Whether a value is a real number, of Python or numpy, and no boolean.

    Example:
        >>> is_number(1.5), is_number("1"), is_number(True)
        (True, False, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of an integer type, of Python or numpy, and no boolean.

    Example:
        >>> is_whole(3), is_whole(3.5), is_whole(True)
        (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def path_of(path: object) -> Path:
    """The name of the file of a model as a path.

    Raises:
        InputError: it is neither text nor a path, it is empty, or it is an address.

    Example:
        >>> path_of(3)
        Traceback (most recent call last):
        pushforward.errors.InputError: The name of a file is text or a pathlib.Path, not 3 (int).
    """
    try:
        name = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        name = None
    if not isinstance(name, str):
        shown, kind = str(path), type(path).__name__
        # A model says much of itself.
        found = f"{shown} ({kind})" if len(shown) <= 50 and "\n" not in shown else f"an object of the type {kind}"
        raise InputError(f"The name of a file is text or a pathlib.Path, not {found}.")
    check_local(name, "models")
    return Path(name)


def check_local(name: str, what: str) -> None:
    """Refuse a name without a letter, and an address such as s3://bucket/folder: only tables are read from these.

    Arguments:
        name: of a file.
        what: such files hold, for the message.

    Raises:
        InputError: it is one.

    Example:
        >>> check_local("s3://stars/m.safetensors", "models")
        Traceback (most recent call last):
        pushforward.errors.InputError: s3://stars/m.safetensors is an address: models are files of this machine; name \
one, and copy it.
    """
    if not name:
        raise InputError("The name of a file is empty; give a name.")
    if is_address(name) and not os.path.lexists(name):
        raise InputError(f"{name} is an address: {what} are files of this machine; name one, and copy it.")


def is_address(name: str) -> bool:
    """Whether a name is an address, such as s3://bucket/folder.

    Example:
        >>> is_address("s3://stars/2020"), is_address("C:/stars"), is_address("stars.csv")
        (True, False, False)
    """
    return bool(_ADDRESS.match(name))


def check_seed(seed: object) -> None:
    """Refuse what cannot be a seed of random numbers.

    Raises:
        InputError: it is not a whole number from 0 to 2^63 - 1.

    Example:
        >>> check_seed(0), check_seed(-1)
        Traceback (most recent call last):
        pushforward.errors.InputError: seed must be a whole number from 0 to 9223372036854775807; it is -1.
    """
    if not is_whole(seed) or not 0 <= seed <= LARGEST_SEED:  # type: ignore[operator]
        raise InputError(f"seed must be a whole number from 0 to {LARGEST_SEED}; it is {seed!r}.")

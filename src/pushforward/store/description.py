"""What a model file says of itself, read without torch."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy
from safetensors import SafetensorError, safe_open

from pushforward.errors import InputError
from pushforward.store.formats import FORMAT, MODEL_IN_FOLDER, OLDEST_FORMAT, in_present_names
from pushforward.store.weights import check_weights
from pushforward.support.arguments import path_of

# Types of numbers that numpy has, as files call them.
TYPES = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")


def model_file(path: str | os.PathLike[str]) -> Path:
    """The file of a model that is named by its file, or by the folder of its card.

    Raises:
        InputError: the name cannot be that of a file of this machine.

    Example:
        >>> str(model_file("flow.safetensors"))
        'flow.safetensors'
    """
    named = path_of(path)
    within = named / MODEL_IN_FOLDER
    return within if within.is_file() else named


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a model file without loading its weights.

    Arguments:
        path: a file written by `save`, or a folder written by `card`.

    Returns:
        {"version", "format", "config", "dtype", "notes", "parameters"}: config and notes as given to `save`, in the
        names of this version if an earlier one wrote the file; parameters the number of those that training changes,
        of a file of version 0.2 or earlier that of all stored numbers.

    Raises:
        InputError: as for `load`.
    """
    path = model_file(path)
    metadata = {key: value for key, value in read_metadata(path).items() if key != "digest"}
    with opened(path) as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118 (not a dict)
    parameters, stored = metadata.pop("parameters"), sum(math.prod(shape) for shape in shapes)
    return {**metadata, "parameters": stored if parameters is None else parameters}


def read_metadata(path: Path) -> dict[str, Any]:
    """Read version, format, digest, number of parameters, config, dtype and notes of a model file.

    The digest of the weights and the number are None in files of versions that wrote none.

    Raises:
        InputError: the file is not a model file that this version reads.
    """
    with opened(path) as file:
        texts = file.metadata() or {}
    if "pushforward" not in texts:
        raise InputError(f"{path} is not a pushforward model: it is a safetensors file of something else.")
    try:
        metadata = {key: json.loads(texts[key]) for key in ("pushforward", "config", "dtype", "notes")}
        about = metadata.pop("pushforward")
        version, file_format, digest = str(about["version"]), about["format"], about.get("digest")
        parameters = about.get("parameters")
        if type(file_format) is not int or not (parameters is None or (type(parameters) is int and parameters >= 0)):
            raise TypeError
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{path} is a pushforward model with a damaged description: it cannot be loaded.") from None
    if file_format > FORMAT:
        raise InputError(
            f"{path} was written by pushforward {version} in format {file_format}; this version reads up to format "
            f"{FORMAT}: upgrade pushforward."
        )
    if file_format < OLDEST_FORMAT:
        raise InputError(
            f"{path} was written by pushforward {version} in format {file_format}, which is no longer read: fit again."
        )
    if metadata["dtype"] not in ("float16", "bfloat16", "float32", "float64") or not isinstance(
        metadata["config"], dict
    ):
        raise InputError(f"{path} is a pushforward model with a damaged description: it cannot be loaded.")
    try:
        config, notes = in_present_names(metadata["config"], metadata["notes"], file_format)
    except RecursionError:
        raise InputError(f"{path} is a pushforward model with a damaged description: it cannot be loaded.") from None
    about = {"version": version, "format": file_format, "digest": digest, "parameters": parameters}
    return {**about, "config": config, "dtype": metadata["dtype"], "notes": notes}


def read_weights(path: Path, digest: str | None) -> dict[str, Any]:
    """Read the weights of a model file as arrays of numpy, by their names.

    Raises:
        InputError: weights that are damaged, or of a type that numpy has not.
    """
    found = {}
    with opened(path) as file:
        for key in file.keys():  # noqa: SIM118 (not a dict)
            if file.get_slice(key).get_dtype() not in TYPES:
                raise InputError(f"{path} holds numbers of a type that numpy has not, such as bfloat16; use PyTorch.")
            found[key] = file.get_tensor(key)
    check_weights(path, found, digest, numpy.uint8)
    return found


def shortened(error: object, most: int = 300) -> str:
    """Shorten what an error or a file says, which may be of any length, for a message."""
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[:most]}…" if len(text) > most else text


def opened(path: Path, framework: str = "np") -> Any:
    """Open a safetensors file; its tensors are arrays of numpy ("np") or tensors of torch ("pt")."""
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder without {MODEL_IN_FOLDER}, not a model.")
    if not path.is_file():
        raise InputError(f"{path} is not an ordinary file; give the name of a model file.")
    try:
        return safe_open(path, framework=framework)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a model file, or it is cut short ({shortened(error)}).") from None

"""A model file in another form, which the suffix of the output says."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pushforward.errors import InputError
from pushforward.exports.javascript import write_json
from pushforward.exports.onnx import write_onnx
from pushforward.lite.files import load
from pushforward.store.description import describe, model_file
from pushforward.store.options import NeedsPyTorch
from pushforward.support.arguments import path_of
from pushforward.support.atomic import check_writable
from pushforward.support.overwriting import check_not_read
from pushforward.zoo.names import ARCHITECTURES, IN_CONTINUOUS_TIME, univariate_names

# What writes a model that `pushforward.lite.load` gave, by the suffix of the file.
WRITERS: dict[str, Callable[..., None]] = {".json": write_json, ".onnx": write_onnx}
# What an ONNX file keeps of the notes of a model.
KEPT_NOTES = ("schema", "gap_values")


def export(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    functions: str | Sequence[str] | None = None,
    precision: str | None = None,
) -> Path:
    """Write a model in a form that other programs evaluate.

    Arguments:
        model: a model file, as `pushforward.save` and `TableModel.save` write it.
        output: the file to write; its suffix says the form: `.json` for the module of JavaScript in
            `pushforward/exports/javascript`, `.onnx` for ONNX.
        functions: what an ONNX file computes, one or several of log_prob, sample, to_latent, to_data and quantile,
            also with commas between them; default log_prob.
        precision: of an ONNX file, "float32" or "float64"; default "float64".

    Returns:
        The path of the file.

    Raises:
        InputError: an unknown suffix, a file that is not a model, or a model that has no such form, by name; nothing is
            written then.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pf.save(pf.maf(features=2), f"{folder}/flow.safetensors")
        ...     export(f"{folder}/flow.safetensors", f"{folder}/flow.json").name
        'flow.json'
    """
    path = path_of(output)
    if path.suffix not in WRITERS:
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise InputError(f"{path} {ending}; name a file that ends in {' or '.join(WRITERS)}.")
    check_writable(path)
    source = model_file(model)
    check_not_read(path, [source])
    chosen = {"functions": functions, "precision": precision}
    options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if path.suffix == ".onnx":
        notes = describe(source)["notes"]
        options["about"] = {name: notes[name] for name in KEPT_NOTES if isinstance(notes, dict) and name in notes}
    elif options:
        raise InputError(
            f"A {path.suffix} file has every function in double precision; only ONNX files have a "
            "choice: leave functions and precision out."
        )
    WRITERS[path.suffix](_loaded(source), path, **options)
    return path


def _loaded(source: Path) -> Any:
    """The model of a file, in the form from which others are made."""
    try:
        return load(source)
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, NeedsPyTorch):
            raise
        # Students are taught by densities of vectors, and not by those of images or sound.
        densities = {**ARCHITECTURES, **IN_CONTINUOUS_TIME, **dict.fromkeys(univariate_names())}
        way = "distill it first, by pushforward distill or pushforward.distill; " if cause.name in densities else ""
        raise InputError(f"{source} cannot be exported: it is a {cause.part}; {way}{cause.others}") from error

"""Functions of a model, traced through `pushforward.lite`, as an ONNX file."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.errors import InputError
from pushforward.exports.onnx.functions import FUNCTIONS, check_names, functions_of
from pushforward.lite.any_table import AnyTable
from pushforward.lite.density import Density
from pushforward.lite.table import Table
from pushforward.support.atomic import atomic_path
from pushforward.version import __version__

if TYPE_CHECKING:
    import onnx

PRECISIONS = ("float32", "float64")
FORMAT, PRODUCER = 8, "pushforward"


def write_onnx(
    model: Density | Table,
    path: Path,
    functions: str | Sequence[str] = "log_prob",
    precision: str = "float64",
    about: Any = None,
) -> None:
    """Write functions of a model to an ONNX file, atomically.

    A function is called as its results are, and takes any number of rows. Of a density: log_prob and to_latent take x,
    (rows, D); to_data z, (rows, D); sample noise, draws of the base, (rows, D), or of a mixture of K flows,
    (rows, 1 + K D), a uniform number and draws of each base; and, of one feature, quantile takes level, (rows,). A
    conditional density takes a context, (rows, C), as well. Of a table: log_prob takes each column by its name,
    (rows,); sample takes sample.noise, quantile takes quantile.level, both with the columns that are conditioned on,
    and the results are the columns sample.NAME, or quantile.NAME.

    With several functions no input is required: a function gives as many rows as its first input has, none without it.

    Arguments:
        model: what `pushforward.lite.load` gives.
        path: of the file.
        functions: one of `FUNCTIONS`, or several, also with commas between them.
        precision: of what it takes, computes and gives, "float32" or "float64".
        about: more about the model that the file keeps, such as its schema; anything that JSON can hold.

    Raises:
        InputError: an unknown function or precision, a function that the model has not, or no package onnx.
    """
    made = as_onnx(model, functions, precision, about)
    with atomic_path(path) as temporary:
        temporary.write_bytes(made.SerializeToString(deterministic=True))


def as_onnx(
    model: Density | Table, functions: str | Sequence[str] = "log_prob", precision: str = "float64", about: Any = None
) -> onnx.ModelProto:
    """Return functions of a model as an ONNX model; arguments and errors as of `write_onnx`."""
    if not isinstance(functions, str | list | tuple) or not all(isinstance(name, str) for name in functions):
        raise InputError(f"The functions of an ONNX file are names out of {', '.join(FUNCTIONS)}, not {functions!r}.")
    given = functions.split(",") if isinstance(functions, str) else functions
    names = list(dict.fromkeys(name.strip() for name in given))
    for value, what, known in (*((one, "function", FUNCTIONS) for one in names), (precision, "precision", PRECISIONS)):
        if value not in known:
            raise InputError(f"There is no {what} {value!r} of an ONNX file; there are {', '.join(known)}.")
    if not names:
        raise InputError(f"An ONNX file needs a function: one or several of {', '.join(FUNCTIONS)}.")
    if importlib.util.find_spec("onnx") is None:
        raise InputError('An ONNX file needs the package onnx: install it with pip install "pushforward[onnx]".')
    from onnx import helper

    from pushforward.exports.onnx.tracing import traced

    offered = functions_of(model)
    for name in names:
        if name not in offered:
            raise InputError(f"A model of a table has no {name} in ONNX; it has {', '.join(offered)}.")
    if isinstance(model, Table):
        check_names(model, names)
    graph, operators = traced([offered[name] for name in names], precision, "_".join([PRODUCER, *names]))
    made = helper.make_model(graph, opset_imports=operators, ir_version=FORMAT, producer_name=PRODUCER)
    made.producer_version = __version__
    helper.set_model_props(made, {PRODUCER: json.dumps({"functions": names, **_described(model), **(about or {})})})
    return made


def _described(model: Density | Table) -> dict[str, Any]:
    """What a reader of the file needs to know of the model."""
    if isinstance(model, AnyTable):
        noise = ["angle" if column.circular else "normal" for column in model.density.columns]
        return {"columns": model.columns, "given": model.given, "noise": noise}
    density = model.density if isinstance(model, Table) else model
    bases = [flow["base"]["kind"] for flow in density.flows]
    about = {"features": density.features, "context_features": density.context_features, "bases": bases}
    return {**about, "columns": model.columns, "given": model.given} if isinstance(model, Table) else about

"""A function of a model, traced through `pushforward.lite`, as an ONNX file."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from pushforward.errors import InputError
from pushforward.lite.density import Density
from pushforward.lite.table import Table
from pushforward.support.atomic import atomic_path
from pushforward.version import __version__

if TYPE_CHECKING:
    import onnx

    from pushforward.exports.onnx.graph import Value
    from pushforward.exports.onnx.namespace import Namespace

FUNCTIONS = ("log_prob", "sample", "to_latent", "to_data", "quantile")
PRECISIONS = ("float32", "float64")
# What onnxruntime reads since its version 1.14, of 2023.
OPSET, FORMAT = 18, 8
PRODUCER = "pushforward"


class Function(NamedTuple):
    """A function of a model.

    Attributes:
        inputs: their names and widths, None for one number in each row.
        output: its name.
        call: the method, which takes the inputs in their order, and the namespace as `xp`.
    """

    inputs: dict[str, int | None]
    output: str
    call: Callable[..., Any]


def write_onnx(
    model: Density | Table, path: Path, function: str = "log_prob", precision: str = "float64", about: Any = None
) -> None:
    """Write a function of a model to an ONNX file, atomically.

    Arguments:
        model: what `pushforward.lite.load` gives.
        path: of the file.
        function: one of `FUNCTIONS`, of any number of rows. Of a density: log_prob and to_latent of x, (rows, D);
            to_data of z, (rows, D); sample of noise, draws of the base, (rows, D), or of a mixture of K flows,
            (rows, 1 + K D), a uniform number and draws of each base; and, of one feature, quantile of level, (rows,).
            A conditional density takes a context, (rows, C), as well. Of a table: log_prob of codes, those of the
            columns and the given ones, (rows, columns + given); sample of noise, and quantile of level, with given,
            (rows, given): both give codes.
        precision: of what it takes, computes and gives, "float32" or "float64".
        about: more about the model that the file keeps, such as its schema; anything that JSON can hold.

    Raises:
        InputError: an unknown function or precision, a function that the model has not, or no package onnx.
    """
    made = as_onnx(model, function, precision, about)
    with atomic_path(path) as temporary:
        temporary.write_bytes(made.SerializeToString(deterministic=True))


def as_onnx(model: Density | Table, function: str, precision: str, about: Any = None) -> onnx.ModelProto:
    """Return a function of a model as an ONNX model; arguments and errors as of `write_onnx`."""
    for value, what, known in ((function, "function", FUNCTIONS), (precision, "precision", PRECISIONS)):
        if value not in known:
            raise InputError(f"There is no {what} {value!r} of an ONNX file; there are {', '.join(known)}.")
    if isinstance(model, Table) and model.refused:
        raise InputError(model.refused)
    if importlib.util.find_spec("onnx") is None:
        raise InputError('An ONNX file needs the package onnx: install it with pip install "pushforward[onnx]".')
    from onnx import helper

    from pushforward.exports.onnx.namespace import Namespace

    functions = _of_table(model) if isinstance(model, Table) else _of_density(model)
    if function not in functions:
        raise InputError(f"A model of a table has no {function} in ONNX; it has {', '.join(functions)}.")
    inputs, output, _ = functions[function]
    space = Namespace()
    found = _traced(space, functions[function], precision)
    space.graph.nodes.append(helper.make_node("Identity", [found.name], [output]))
    kind = helper.np_dtype_to_tensor_dtype(numpy.dtype(precision))
    ends = [
        helper.make_tensor_value_info(name, kind, ["rows", *([] if width is None else [width])])
        for name, width in (*inputs.items(), (output, found.shape[1] if found.ndim > 1 else None))
    ]
    name = f"{PRODUCER}_{function}"
    graph = helper.make_graph(space.graph.nodes, name, ends[:-1], ends[-1:], space.graph.read_constants())
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=FORMAT, producer_name=PRODUCER)
    made.producer_version = __version__
    helper.set_model_props(made, {PRODUCER: json.dumps({"function": function, **_described(model), **(about or {})})})
    return made


def _of_density(density: Density) -> dict[str, Function]:
    size, mixed = density.features, len(density.flows) > 1
    context: dict[str, int | None] = {"context": density.context_features} if density.context_features else {}
    noise = 1 + len(density.flows) * size if mixed else size
    return {
        "log_prob": Function({"x": size, **context}, "log_prob", density.log_prob),
        "sample": Function({"noise": noise, **context}, "x", density.draws_of if mixed else density.to_data),
        "to_latent": Function({"x": size, **context}, "z", density.to_latent),
        "to_data": Function({"z": size, **context}, "x", density.to_data),
        "quantile": Function({"level": None, **context}, "x", density.quantile),
    }


def _of_table(table: Table) -> dict[str, Function]:
    """Those of a table, whose columns and conditions are codes."""
    given: dict[str, int | None] = {"given": len(table.given)} if table.given else {}
    noise = 1 + len(table.density.flows) * table.density.features
    return {
        "log_prob": Function({"codes": len(table.names)}, "log_prob", table.log_prob),
        "sample": Function({"noise": noise, **given}, "codes", table.draws_of),
        "quantile": Function({"level": None, **given}, "codes", table.quantile),
    }


def _described(model: Density | Table) -> dict[str, Any]:
    """What a reader of the file needs to know of the model."""
    density = model.density if isinstance(model, Table) else model
    bases = [flow["base"]["kind"] for flow in density.flows]
    about = {"features": density.features, "context_features": density.context_features, "bases": bases}
    return {**about, "columns": model.columns, "given": model.given} if isinstance(model, Table) else about


def _traced(space: Namespace, function: Function, precision: str) -> Value:
    """The result of a function as a value of the graph."""
    arguments = [
        space.argument(name, precision, (None, *([] if width is None else [width])))
        for name, width in function.inputs.items()
    ]
    found: Value = function.call(*arguments, xp=space)
    # As many rows as are given, also where the result is one for all of them.
    row = space.zeros_like(arguments[0][:, 0] if arguments[0].ndim > 1 else arguments[0])
    return found + (row if found.ndim == 1 else row[:, None])

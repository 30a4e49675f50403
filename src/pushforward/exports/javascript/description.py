"""A model as JSON, which the JavaScript beside this file evaluates in a browser or in Node."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.exports.javascript.columns import described_table
from pushforward.lite.density import Density
from pushforward.lite.reading import Weights, density
from pushforward.lite.table import DequantizedTable, Table
from pushforward.support.atomic import atomic_path
from pushforward.support.own_parts import own_parts

FORMAT, FORMAT_OF_TABLES, VERSION = "pushforward-flow", "pushforward-table", 1
# The parts of the module that evaluate flows, in the order in which they need each other.
PARTS = (
    "numbers", "inputs", "normal", "student", "networks", "families", "maps", "contexts", "steps", "clusters", "bases",
    "flow",
)  # fmt: skip


def evaluator() -> str:
    """The JavaScript that evaluates what `flow_as_json` returns, as one script without dependencies."""
    folder = files("pushforward.exports.javascript")
    return "\n".join(folder.joinpath(f"{part}.js").read_text(encoding="utf-8") for part in PARTS)


def flow_as_json(flow: Any) -> dict[str, Any]:
    """Describe a flow, or a mixture of flows, with its weights, as plain JSON.

    The JavaScript of `evaluator()` computes forward, inverse, log_det, log-densities and draws from it, in double
    precision. Arrays are base64 of float32 numbers, or of float64 where float32 would lose digits.

    Arguments:
        flow: made by a named architecture, conditional or not.

    Raises:
        InputError: a flow without a config, or one of another architecture than those of flows, by name.

    Example:
        >>> import pushforward as pf
        >>> described = flow_as_json(pf.realnvp(features=2, layers=2))
        >>> described["features"], [part["kind"] for part in described["bijection"]["parts"]]
        (2, ['coupling', 'affine', 'coupling', 'affine'])
    """
    if getattr(flow, "config", None) is None:
        raise InputError(
            f"JavaScript cannot evaluate a {type(flow).__name__} of your own{own_parts(flow)}: only flows of the named "
            "architectures, and mixtures of them, whose config says what they are."
        )
    arrays = {key: value.detach().cpu().double().numpy() for key, value in flow.state_dict().items()}
    return described(density(flow.config, Weights(arrays)))


def described(description: dict[str, Any]) -> dict[str, Any]:
    """The description of a density by `pushforward.lite.reading` as plain JSON."""
    return {"format": FORMAT, "version": VERSION, **_plain(description)}


def model_as_json(model: Density | Table) -> dict[str, Any]:
    """Describe what `pushforward.lite.load` gives, a density or a model of a table, as plain JSON.

    Raises:
        InputError: a model that has no such form, by name.
    """
    if isinstance(model, Table) and (model.errors or not isinstance(model, DequantizedTable)):
        what = "of columns with measurement errors" if model.errors else "of any columns given any others"
        raise InputError(
            f"JavaScript cannot evaluate a model {what}: export it to .onnx, read it with pushforward.lite, or fit one "
            "without these."
        )
    if isinstance(model, DequantizedTable):
        table = {**described_table(model), "density": described(model.density.description)}
        return {"format": FORMAT_OF_TABLES, "version": VERSION, **_plain(table)}
    return described(model.description)


def write_json(model: Density | Table, path: Path) -> None:
    """Write a model of `pushforward.lite` to a file, atomically."""
    text = json.dumps(model_as_json(model), separators=(",", ":"), allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, numpy.ndarray):
        # Whole numbers are few, and are read as they are.
        return value.tolist() if value.dtype.kind in "iu" else _array(value)
    return value


def _array(values: numpy.ndarray) -> dict[str, Any]:
    """An array as base64 of little-endian numbers, of which float32 is enough where it holds them exactly."""
    with numpy.errstate(over="ignore"):
        single = values.astype("<f4")
    name, stored = ("f4", single) if bool((single == values).all()) else ("f8", values.astype("<f8"))
    return {"shape": list(values.shape), name: base64.b64encode(stored.tobytes()).decode("ascii")}

"""Model files, read without PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.errors import InputError
from pushforward.lite.density import Density
from pushforward.lite.reading import Weights, conditionals, density
from pushforward.store.notes import noted_columns

if TYPE_CHECKING:
    from pushforward.lite.table import Table

ANY = "arbitrary_conditional"


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model file.

    Arguments:
        path: a file written by `pushforward.save`, or a folder written by `pushforward.card`.

    Returns:
        A `Density`, or a `Table` of a model that was fitted to one; float64 whatever the precision of the file.

    Raises:
        InputError: no such file, a damaged or foreign one, or a model of an architecture that needs PyTorch, by name.

    Example:
        >>> import tempfile, numpy as np, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pf.save(pf.maf(features=2), f"{folder}/flow.safetensors")
        ...     model = load(f"{folder}/flow.safetensors")
        >>> model.log_prob(np.zeros((3, 2))).shape, model.sample(4, seed=0).shape
        ((3,), (4, 2))
    """
    # Imported only here, since its package takes a part of the time of numpy.
    from pushforward.store.description import model_file, read_metadata, read_weights, shortened

    path = model_file(path)
    metadata = read_metadata(path)
    weights = Weights(read_weights(path, metadata["digest"]))
    try:
        return _model(metadata["config"], metadata["notes"], weights, path)
    except InputError as error:
        raise InputError(f"{path} cannot be read: {shortened(error)}.") from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, ArithmeticError, MemoryError):
        raise InputError(f"{path} describes a model that this version cannot read.") from None


def _model(config: dict[str, Any], notes: Any, weights: Weights, path: Path) -> Density | Table:
    if not (isinstance(notes, dict) and "schema" in notes):
        return Density(density(config, weights))
    from pushforward.lite.any_table import AnyTable
    from pushforward.lite.table import DequantizedTable
    from pushforward.tables.columns.kinds import Continuous
    from pushforward.tables.schema.serialization import parse_schema

    columns, schema = noted_columns(notes, path), parse_schema(notes["schema"], source=f"the schema in {path}")
    # What a model of an earlier version does not name is a number.
    names = [*columns.columns, *columns.given, *columns.errors.values()]
    schema = {name: schema.get(name, Continuous(heavy=False)) for name in names}
    if config.get("architecture") == ANY:
        return AnyTable(conditionals(config, weights), columns, schema)
    return DequantizedTable(Density(density(config, weights)), columns, schema)

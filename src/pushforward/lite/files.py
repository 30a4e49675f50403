"""Model files, read without PyTorch."""

from __future__ import annotations

import os
from typing import Any

from pushforward.lite.density import Density
from pushforward.lite.reading import Weights, conditionals, density

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
    from pushforward.store.description import model_file, opened, read_metadata

    path = model_file(path)
    metadata = read_metadata(path)
    with opened(path) as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    config, notes, weights = metadata["config"], metadata["notes"], Weights(arrays)
    of_table, any_conditions = isinstance(notes, dict) and "schema" in notes, config.get("architecture") == ANY
    if not of_table:
        return Density(density(config, weights))
    from pushforward.lite.any_table import AnyTable
    from pushforward.lite.table import DequantizedTable
    from pushforward.tables.columns.kinds import Continuous
    from pushforward.tables.schema.serialization import parse_schema

    schema = parse_schema(notes["schema"], source=f"the schema in {path}")
    # What a model of an earlier version does not name is a number.
    names = [*notes["columns"], *notes.get("given", ()), *notes.get("errors", {}).values()]
    schema = {name: schema.get(name, Continuous(heavy=False)) for name in names}
    if any_conditions:
        return AnyTable(conditionals(config, weights), notes, schema)
    return DequantizedTable(Density(density(config, weights)), notes, schema)

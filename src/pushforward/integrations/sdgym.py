"""The two functions of a synthesizer of SDGym, whose tables SDMetrics judges too."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pushforward.errors import InputError
from pushforward.integrations.requirement import requires
from pushforward.table_models.fitting import fit_table
from pushforward.table_models.model import TableModel
from pushforward.training.settings import TrainingOptions

with requires("pandas", "sdmetrics"):
    import pandas as pd

# What SDV calls a type of column, and what we call it; others are learned from the values.
KINDS = {"categorical": "category", "boolean": "category"}


class Synthesizer(NamedTuple):
    """A fitted model and the columns of its table.

    Attributes:
        model: over all columns but identifiers.
        like: the table without rows, for the names and types of its columns.
        identifiers: columns whose values are only told apart.
    """

    model: TableModel
    like: pd.DataFrame
    identifiers: list[str]


def get_trained_synthesizer(
    data: pd.DataFrame, metadata: Mapping[str, Any] | None = None, **training: Any
) -> Synthesizer:
    """Fit a table as SDGym's `get_trained_synthesizer_fn` does.

    Arguments:
        data: the table.
        metadata: of SDV, as a dictionary with `columns` or an object with `to_dict`: categorical and boolean columns
            have levels, identifiers are numbered from 0, others are learned from the values. Default none: all are.
        training: as for `pushforward.fit_table`, such as `max_time` and `seed`.

    Raises:
        InputError: data that are not a data frame, metadata of several tables or of other columns, or as from
            `pushforward.fit_table`.

    Example:
        >>> data = pd.DataFrame({"x": np.random.default_rng(0).normal(size=300), "label": ["a", "b", "b"] * 100})
        >>> synthesizer = get_trained_synthesizer(data, max_steps=20)
        >>> sample_from_synthesizer(synthesizer, 5).columns.tolist()
        ['x', 'label']
    """
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"A synthesizer fits a data frame of pandas, not {type(data).__name__}.")
    columns = _columns_of(metadata, list(data.columns))
    identifiers = [name for name, column in columns.items() if column.get("sdtype") == "id"]
    schema = {
        name: {"kind": KINDS[column["sdtype"]]} for name, column in columns.items() if column.get("sdtype") in KINDS
    }
    modeled = [name for name in data.columns if name not in identifiers]
    options: TrainingOptions = training  # type: ignore[assignment]
    fit = fit_table(data[modeled], columns=modeled, schema=schema or None, **options)
    return Synthesizer(fit.model, data.iloc[:0], identifiers)


def sample_from_synthesizer(synthesizer: Synthesizer, n_samples: int, seed: int | None = None) -> pd.DataFrame:
    """Draw a table as SDGym's `sample_from_synthesizer_fn` does.

    Arguments:
        synthesizer: from `get_trained_synthesizer`.
        n_samples: how many rows.
        seed: makes the draws repeat; default new draws.

    Returns:
        A table with the columns of the fit, in their order and types.

    Raises:
        InputError: something else than a fitted synthesizer, or a number of rows that is none.
    """
    if not isinstance(synthesizer, Synthesizer):
        raise InputError(
            f"sample_from_synthesizer takes what get_trained_synthesizer returns, not {type(synthesizer).__name__}."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draws.parquet"
        synthesizer.model.sample(path, rows=n_samples, seed=seed)
        drawn = pd.read_parquet(path)
    for name in synthesizer.identifiers:
        drawn[name] = np.arange(n_samples)
    whole = [name for name in synthesizer.like.columns if name in drawn and not drawn[name].isna().any()]
    types = {name: kind for name, kind in synthesizer.like.dtypes.items() if name in whole}
    return drawn[list(synthesizer.like.columns)].astype(types)


def _columns_of(metadata: Any, names: list[str]) -> dict[str, Any]:
    """What the metadata says of each column."""
    if metadata is None:
        return {}
    found: Any = metadata.to_dict() if hasattr(metadata, "to_dict") else dict(metadata)
    if "tables" in found:
        if len(found["tables"]) != 1:
            raise InputError(f"A synthesizer fits one table; the metadata has {len(found['tables'])}.")
        (found,) = found["tables"].values()
    columns = dict(found.get("columns", {}))
    unknown = [name for name in columns if name not in names]
    if unknown:
        raise InputError(f'The metadata has a column "{unknown[0]}", which the table has not.')
    return columns

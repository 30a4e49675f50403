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
# Of other types SDV draws values that it makes up, such as addresses.
LEARNED = (*KINDS, "numerical", "datetime", "unknown")


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
            have levels, identifiers are numbered from 0, others are learned from the values. It has all columns of the
            table. Default none: all columns are learned from their values.
        training: as for `pushforward.fit_table`, such as `max_time` and `seed`.

    Raises:
        InputError: data that are not a data frame, metadata of several tables, of other columns, of types that are not
            known or of personal values, or as from `pushforward.fit_table`.

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
        n_samples: how many rows, at least 0.
        seed: makes the draws repeat; default new draws.

    Returns:
        A table with the columns of the fit, in their order and types; no value is missing.

    Raises:
        InputError: something else than a fitted synthesizer, or a number of rows that is none.
    """
    if not isinstance(synthesizer, Synthesizer):
        raise InputError(
            f"sample_from_synthesizer takes what get_trained_synthesizer returns, not {type(synthesizer).__name__}."
        )
    if not isinstance(n_samples, int | np.integer) or isinstance(n_samples, bool) or n_samples < 0:
        raise InputError(f"n_samples is a whole number of at least 0; it is {n_samples!r}.")
    if n_samples == 0:
        return synthesizer.like.copy()
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
    found: Any = metadata.to_dict() if hasattr(metadata, "to_dict") else metadata
    if not isinstance(found, Mapping):
        raise InputError(f"The metadata is that of SDV, or a dictionary like it, not {type(metadata).__name__}.")
    if "tables" in found:
        if len(found["tables"]) != 1:
            raise InputError(f"A synthesizer fits one table; the metadata has {len(found['tables'])}.")
        (found,) = found["tables"].values()
    columns = dict(found.get("columns", {}))
    unknown = [name for name in columns if name not in names]
    if unknown:
        raise InputError(f'The metadata has a column "{unknown[0]}", which the table has not.')
    for name in names:
        if name not in columns:
            raise InputError(f'The metadata lacks the column "{name}" of the table.')
        kind = columns[name].get("sdtype", "unknown")
        if kind != "id" and (kind not in LEARNED or columns[name].get("pii")):
            marked = " with pii" if columns[name].get("pii") else ""
            raise InputError(
                f'The column "{name}" is of the sdtype "{kind}"{marked}, and what would be drawn are its real values: '
                'leave it out, or call it "id" to have it numbered, or "categorical" without pii if they may be drawn.'
            )
    return columns

"""Rows as the estimators take them: their weights, and whether they have a density."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.support.wording import counted, percent
from pushforward.tables.broken_relations import find_broken_relation
from pushforward.tables.dependence import find_relation
from pushforward.training.likelihood import CHUNK_ROWS
from pushforward.training.rows import relative_weights

FLOATS = (np.float64, np.float32)
# Enough to train on, where a straight line does not go through every row.
FEWEST_ROWS = 4
# Columns that a warning names.
MOST_NAMED = 5
# Relative differences below this are rounding.
RESOLUTION = 1e-12


@dataclass(frozen=True, eq=False)
class FittedRows:
    """The rows of a fit.

    Attributes:
        rows: (n, D) all of them.
        training: (t,) which were trained on.
        held_out: (h,) which were held out.
        copies: (n,) labels that are equal for copies, None where there are none.
    """

    rows: np.ndarray
    training: np.ndarray
    held_out: np.ndarray
    copies: np.ndarray | None


def map_rows(function: Callable[..., Tensor], flow: Flow, *arrays: np.ndarray, rows: int = CHUNK_ROWS) -> np.ndarray:
    """Apply a function of tensors to arrays a few rows at a time, on the flow's device and without gradients.

    Arguments:
        function: of one tensor for each array, with results of as many rows.
        flow: says where and in which precision: float32 arrays are not widened for a float64 flow.
        arrays: of equal lengths, at least one row.
        rows: most rows at a time.

    Returns:
        The results one below the other.
    """
    device = device_of(flow)

    def chunk(array: np.ndarray, start: int) -> Tensor:
        # Copied if it is read-only, which torch does not support.
        return torch.from_numpy(np.require(array[start : start + rows], requirements=["C", "W"])).to(device)

    with torch.no_grad():
        parts = [function(*(chunk(array, start) for array in arrays)) for start in range(0, len(arrays[0]), rows)]
    result: np.ndarray = torch.cat([part.cpu() for part in parts]).numpy()
    return result


def unmasked(values: Any, name: str = "X") -> Any:
    """What an estimator was given, unless some of it is masked or it is an array of records.

    scikit-learn takes the numbers under a mask for values.

    Example:
        >>> unmasked(np.ma.masked_values([[1.0, -999.0]], -999.0))
        Traceback (most recent call last):
        pushforward.errors.InputError: X masks 1 of its 2 values, the first in row 1: estimators take no missing \
values; leave those rows out, or use fit_table, which models them.
    """
    if np.ma.isMaskedArray(values):
        masked = np.ma.getmaskarray(values)
        if masked.any():
            first = int(np.argwhere(masked)[0][0]) + 1
            raise InputError(
                f"{name} masks {masked.sum()} of its {masked.size} values, the first in row {first}: estimators take "
                "no missing values; leave those rows out, or use fit_table, which models them."
            )
        return np.ma.getdata(values)
    if isinstance(values, np.ndarray) and values.dtype.names is not None:
        raise InputError(
            f"{name} is an array of records with the fields {', '.join(values.dtype.names)}: give a matrix of numbers "
            "or a data frame, or use fit_table, which reads records."
        )
    return values


def rows_with_weight(sample_weight: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows whose weight is above zero, and their weights, (m,), or None if all are equal.

    >>> rows_with_weight([2, 0, 2, 2, 1], np.arange(5))
    (array([0, 2, 3, 4]), array([2., 2., 2., 1.]))
    """
    if sample_weight is None:
        return rows, None
    if not np.asarray(sample_weight).any():
        raise InputError("All sample weights are zero; give some rows a weight above zero.")
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    positive = weights > 0
    if positive.sum() < FEWEST_ROWS:
        raise InputError(
            f"{positive.sum()} rows have a sample weight above zero; a density needs at least {FEWEST_ROWS} to fit."
        )
    weights = relative_weights(weights[positive])
    # Equal weights are dropped: the fit is then exactly that of the remaining rows.
    return rows[positive], None if (weights == weights[0]).all() else weights


def mean_by_weight(log_prob: np.ndarray, sample_weight: Any) -> float:
    """The mean of log p, (n,), by the weights of its rows, (n,), or the plain mean without weights."""
    if sample_weight is None:
        return float(log_prob.mean())
    weights = _check_sample_weight(sample_weight, log_prob, dtype=np.float64, ensure_non_negative=True)
    counted = weights > 0
    return float(np.average(log_prob[counted], weights=weights[counted]))


def warn_of_dependence(rows: np.ndarray, names: Sequence[str], discrete: Sequence[bool]) -> None:
    """Warn of columns with a linear relation, with which they have no joint density.

    Arguments:
        rows: (n, D) that are trained on.
        names: (D,) of the columns.
        discrete: (D,) which of them have probabilities: a relation of these alone does not call for a warning.
    """
    found = find_relation(rows)
    while found is not None and all(discrete[column] for column in found.columns):
        # One of them follows from the others, and without it every other relation is still there.
        left = [column for column in range(rows.shape[1]) if column != max(found.columns)]
        rows, names, discrete = rows[:, left], [names[column] for column in left], [discrete[column] for column in left]
        found = find_relation(rows) if len(left) > 1 else None
    where, broken = "in every row that is trained on", None
    if found is None:
        broken = find_broken_relation(rows)
    if broken is not None and not all(discrete[column] for column in broken[0].columns):
        found, where = broken[0], f"in {percent(1 - len(broken[1]) / len(rows))} of the rows that are trained on"
    if found is not None:
        columns = ", ".join(f'"{names[column]}"' for column in sorted(found.columns))
        warnings.warn(
            f"Columns {columns} determine each other, {found.equation(names)} {where}"
            f"{' up to rounding' if found.rounded else ''}: their joint density is infinite there, and the fitted one "
            "grows as long as it is trained; leave one of them out.",
            RuntimeWarning,
            stacklevel=4,
        )


def warn_of_new_gaps(missing: np.ndarray, names: Sequence[str] | None, leveled: np.ndarray) -> None:
    """Warn of values in columns of X without gaps in the fit that are missing, or levels that were not seen.

    Arguments:
        missing: (n, C) where they are.
        names: (C,) of the columns, default their places.
        leveled: (C,) which columns have levels.
    """
    columns = np.flatnonzero(missing.any(0))
    if len(columns):
        named = ", ".join(f'"{column if names is None else names[column]}"' for column in columns[:MOST_NAMED])
        rows, levels = int(missing.any(1).sum()), bool(leveled[columns].any())
        lacks, has = ("lacks", "has") if rows == 1 else ("lack", "have")
        warnings.warn(
            f"{rows:,} of {counted(len(missing), 'row')} of X {lacks} a value"
            f"{f', or {has} a level that no row of the fit had,' if levels else ''} in columns "
            f"without gaps in the fit ({named}{', ...' if len(columns) > MOST_NAMED else ''}): it is taken for the "
            f"median of its column{', or for the most frequent level' if levels else ''}, as if it were known.",
            RuntimeWarning,
            stacklevel=4,
        )


def beyond_range(flow: Flow, context: np.ndarray | None, count: int) -> np.ndarray:
    """Which rows, (n,), lie beyond the range of those of the fit.

    Arguments:
        flow: of the fit.
        context: (n, C) what it is given of the rows; None if that is nothing.
        count: n.
    """
    if context is None:
        return np.zeros(count, dtype=bool)
    beyond = map_rows(lambda given: flow.beyond_range(given.double()), flow, context)
    found: np.ndarray = np.any(beyond, axis=1)
    return found


def warn_beyond_range(flow: Flow, context: np.ndarray | None, count: int) -> None:
    """Warn of rows that lie beyond the range of those of the fit; arguments as for `beyond_range`."""
    beyond = beyond_range(flow, context, count)
    if beyond.any():
        warnings.warn(
            f"{beyond.sum():,} of {counted(count, 'row')} of X ({percent(beyond.mean())}) "
            f"{'holds' if beyond.sum() == 1 else 'hold'} a value outside the range of the rows of the fit, where "
            "nothing is known: the density is at least as wide as at its end.",
            RuntimeWarning,
            stacklevel=4,
        )

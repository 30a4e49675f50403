"""Rows of data for training: checked, taken in batches, and named in messages."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.support.modules import tensors

# In standard deviations of a column.
LARGEST_ROUNDING = 1e-3
# Weights up to this power of 2, and down to its inverse, have sums of squares in float64.
SAFE_EXPONENT = 400


class Rows:
    """Some rows of a matrix x, perhaps with rows of a context matrix beside them.

    Arguments:
        x: All rows (n, features).
        context: All context rows (n, context features), or None.
        rows: Indices of the rows meant, (m,); all of them unless given.
        name: What x is called in messages: "x" or "validation".
        columns: Names of the columns of x, if they have any.
        context_columns: Names of the columns of the context, if they have any.
        numbers: The numbers of the rows of x in messages, (n,), counted from 0; default their indices.
        weights: Weights of all rows (n,), or None; they are scaled so that their mean over `rows` is 1.
    """

    def __init__(
        self,
        x: Tensor,
        context: Tensor | None = None,
        rows: Tensor | None = None,
        name: str = "x",
        columns: Sequence[str] | None = None,
        context_columns: Sequence[str] | None = None,
        numbers: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self.x = x
        self.context = context
        self.rows = torch.arange(len(x)) if rows is None else rows
        self.name = name
        self.columns = columns
        self.context_columns = context_columns
        self.numbers = numbers
        self.weights = None if weights is None else (weights / weights[self.rows].mean()).to(x)

    def __len__(self) -> int:
        return len(self.rows)

    def with_rows(self, rows: Tensor) -> Rows:
        """Other rows of the same matrices."""
        return self._like(self.x, self.context, rows)

    def with_matrices(self, x: Tensor, context: Tensor | None) -> Rows:
        """The same rows of matrices in another precision or on another device."""
        return self._like(x, context, self.rows)

    def take(self, rows: Tensor) -> tuple[Any, ...]:
        """Return the rows of these indices: (x,), (x, context), or (x, context or None, weights)."""
        rows = rows.to(self.x.device)
        x = self.x.index_select(0, rows)
        context = None if self.context is None else self.context.index_select(0, rows)
        if self.weights is not None:
            return x, context, self.weights.index_select(0, rows)
        return (x,) if context is None else (x, context)

    def chunks(self, size: int) -> Iterator[tuple[Any, ...]]:
        """Yield all rows in order, `size` at a time and the rest at the end."""
        for rows in self.rows.split(size):
            yield self.take(rows)

    def most_extreme(self, rows: Tensor) -> str:
        """Name the entry among the rows of these indices that lies farthest from its column's mean."""
        suspects = torch.cat([part.double() for part in self._numbers(rows)], dim=1)
        return self.most_extreme_of(suspects, rows.tolist() if self.numbers is None else self.numbers[rows].tolist())

    def most_extreme_of(self, suspects: Tensor, numbers: Sequence[int]) -> str:
        """Name the entry of some rows that lies farthest from the mean of its column in this table.

        Arguments:
            suspects: Rows of x and context side by side, of this table or of one like it.
            numbers: Their numbers, counted from 0.
        """
        # A missing value is never at fault.
        everything = torch.cat([part.double().nan_to_num(0.0) for part in self._numbers(self.rows)], dim=1)
        suspects = suspects.double().nan_to_num(0.0)
        # Scaled first, because the square of a huge entry would overflow and hide it.
        scale = everything.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
        mean, spread = (everything / scale).mean(0), (everything / scale).std(0, correction=0)
        distance = ((suspects / scale - mean) / spread).nan_to_num(0.0, posinf=0.0, neginf=0.0)
        row, column = divmod(int(distance.abs().argmax()), distance.shape[1])
        value, deviations = float(suspects[row, column]), float(distance[row, column])
        features = self.x.shape[1]
        if column < features:
            where = entry(self.name, numbers[row], column, self.columns)
        else:
            context = "context" if self.name == "x" else f"{self.name}_context"
            where = entry(context, numbers[row], column - features, self.context_columns)
        return f"{where} (value {value:.6g}, {deviations:+.3g} standard deviations from the mean)"

    def _like(self, x: Tensor, context: Tensor | None, rows: Tensor) -> Rows:
        names = (self.name, self.columns, self.context_columns)
        return Rows(x, context, rows, *names, numbers=self.numbers, weights=self.weights)

    def _numbers(self, rows: Tensor) -> list[Tensor]:
        """x, and the context if there is one."""
        return [part for part in self.take(rows)[:2] if part is not None]


def as_matrix(
    data: Any, name: str, columns: Sequence[str] | None = None, gaps: bool = False
) -> tuple[Tensor, Sequence[str] | None]:
    """Return data as a matrix of finite floating-point numbers (n, columns), in their own dtype, and its column names.

    Arguments:
        data: A tensor, an array or a data frame.
        name: What the data are called in messages.
        columns: Columns to take from a data frame; all unless given.
        gaps: Whether values may be missing; those are NaN.

    Raises:
        InputError: The data are not such a matrix; the message names the first row and column at fault.

    >>> as_matrix(torch.tensor([[1.0, 2.0], [3.0, float("nan")]]), "x")
    Traceback (most recent call last):
    pushforward.errors.InputError: x[1, 1] is nan; remove or fill such rows.
    """
    names: Sequence[str] | None = None
    if not isinstance(data, Tensor | np.ndarray):
        from pushforward.tables.frames import matrix_from_frame

        data, names = matrix_from_frame(data, columns, gaps)
    if isinstance(data, np.ndarray):
        try:
            data = torch.as_tensor(np.require(data, data.dtype.newbyteorder("="), ["C", "W"]))
        except TypeError as error:
            raise InputError(f"{name} holds {data.dtype}, which PyTorch cannot represent; use float64.") from error
    matrix: Tensor = data.detach()
    if matrix.ndim != 2:
        hint = " (one column: x[:, None])" if matrix.ndim == 1 else ""
        raise InputError(f"{name} must be a matrix of rows by columns{hint}; its shape is {tuple(matrix.shape)}.")
    if not matrix.is_floating_point():
        raise InputError(f"{name} holds {matrix.dtype}; a density needs floating-point numbers, such as x.float().")
    # The sum is finite unless an entry is not or it overflows: one quick pass is nearly always enough.
    if not bool(matrix.sum().isfinite()):
        bad = (matrix.isinf() if gaps else ~matrix.isfinite()).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            value = float(matrix[row, column])
            raise InputError(f"{entry(name, row, column, names)} is {value}; remove or fill such rows.")
    return matrix, names


def as_weights(weights: Any, rows: int, name: str) -> Tensor | None:
    """Return row weights as float64 (rows,), or None for none.

    Raises:
        InputError: Their number is not that of the rows, or one is negative or not finite; the message names the first.

    >>> as_weights([1, 2], 2, "weights")
    tensor([1., 2.], dtype=torch.float64)
    """
    if weights is None:
        return None
    found = torch.as_tensor(np.asarray(weights, dtype=np.float64)).clone()
    if found.shape != (rows,):
        raise InputError(f"{name} must have one number for each of {rows} rows; its shape is {tuple(found.shape)}.")
    bad = (~(found >= 0) | found.isinf()).nonzero()[:, 0]
    if len(bad):
        raise InputError(f"{name}[{int(bad[0])}] is {float(found[bad[0]])}; weights are finite and not negative.")
    return torch.from_numpy(relative_weights(found.numpy()))


def relative_weights(weights: np.ndarray) -> np.ndarray:
    """Weights in the same proportions whose sums and squares neither overflow nor vanish.

    They are divided by a power of 2, which rounds nothing, unless the largest is near 1 already.

    >>> relative_weights(np.array([2.0, 1.0])), relative_weights(np.array([2.0**900, 2.0**899]))
    (array([2., 1.]), array([0.5 , 0.25]))
    """
    largest = float(weights.max(initial=0.0))
    if 2.0**-SAFE_EXPONENT <= largest <= 2.0**SAFE_EXPONENT or largest == 0:
        return weights
    scaled: np.ndarray = np.ldexp(weights, -int(np.frexp(largest)[1]))
    return scaled


def in_dtype_of(flow: Any, matrix: Tensor, name: str) -> Tensor:
    """Return a matrix in the widest floating-point dtype among a flow's parameters and buffers.

    Warns with a RuntimeWarning if that rounds a column by more than a thousandth of its standard deviation.
    """
    held = [t.dtype for t in tensors(flow) if t.is_floating_point()]
    widest = max(held, key=_digits, default=matrix.dtype)
    if _digits(widest) < _digits(matrix.dtype) and len(matrix) > 1:
        rounding = matrix.abs().amax(0) * torch.finfo(widest).eps / 2
        coarse = (rounding > LARGEST_ROUNDING * matrix.std(0)).nonzero()
        if len(coarse):
            warnings.warn(
                f"{name} is rounded from {_plain(matrix.dtype)} to the flow's {_plain(widest)}, which is coarse for "
                f"{name}[:, {int(coarse[0])}]; pushforward.standardized keeps {_plain(matrix.dtype)} data exact.",
                RuntimeWarning,
                stacklevel=3,
            )
    return matrix.to(widest)


def entry(name: str, row: int, column: int, columns: Sequence[str] | None) -> str:
    """Name one number: of an array as Python would, of a table by row, counted from 1, and column.

    Arguments:
        name: What the array is called.
        row: Index of the row.
        column: Index of the column.
        columns: The names of the columns, of a table.

    >>> entry("x", 17, 3, None), entry("x", 17, 0, ["pressure"]), entry("validation", 17, 0, ["pressure"])
    ('x[17, 3]', 'row 18, column "pressure"', 'row 18, column "pressure" of validation')
    """
    if columns is None:
        return f"{name}[{row}, {column}]"
    # The name of the column says whether it belongs to x or to the context.
    which = "" if name in ("x", "context") else f" of {name}"
    return f'row {row + 1}, column "{columns[column]}"{which}'


def column_of(name: str, column: int, columns: Sequence[str] | None) -> str:
    """Name one column: of an array as Python would, of a table by its name.

    >>> column_of("x", 3, None), column_of("x", 0, ["pressure"])
    ('x[:, 3]', 'column "pressure"')
    """
    return f"{name}[:, {column}]" if columns is None else f'column "{columns[column]}"'


def check_shapes(x: Tensor, context: Tensor | None, features: int, context_features: int, prefix: str = "") -> None:
    """Check that x (n, features) and context (n, context features) fit a flow and each other.

    Raises:
        InputError: They do not; `prefix` says which data they are.
    """
    x_name, context_name = (f"{prefix}", f"{prefix}_context") if prefix else ("x", "context")
    if x.shape[1] != features:
        raise InputError(f"{x_name} has {x.shape[1]} columns, but the flow is over {features} features.")
    if context is None:
        if context_features:
            raise InputError(f"The flow is conditional on {context_features} features, but {context_name} is missing.")
        return
    if context_features == 0:
        raise InputError(f"{context_name} was given, but the flow is not conditional (context_features is 0).")
    if context.shape[1] != context_features:
        raise InputError(
            f"{context_name} has {context.shape[1]} columns, but the flow takes {context_features} context features."
        )
    if len(context) != len(x):
        raise InputError(f"{x_name} has {len(x)} rows and {context_name} {len(context)}; they must match row by row.")


def _digits(dtype: torch.dtype) -> float:
    return -torch.finfo(dtype).eps


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

"""Linear relations that hold in every row of a table, which leave its columns without a joint density."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr, solve_triangular

# In units of the columns' deviations: a relation that holds to this is exact, as single precision sees it, if no single
# row, such as an outlier, departs from it by more than the second number.
EXACT, EXACT_IN_A_ROW = 1e-7, 1e-5
# A relation of columns that were rounded leaves no more than this of the largest term; if only some were, of which a
# coarser one leaves the others a density, no more than the second number.
ROUGHEST, ROUGHEST_OF_SOME = 0.03, 1e-3
# Coefficients of a relation that was rounded, this near to whole numbers, are whole; terms smaller than this many
# residuals are none.
NEAR_WHOLE, RESIDUALS = 0.02, 3
# Rows that a relation is looked for in, for all columns and for each; it is then tried on all rows.
ROWS, ROWS_OF_COLUMN = 4000, 4
# A relation is evident from so many rows more than columns.
ROWS_TO_SPARE = 10
FEWEST_ROWS = 30
# Where gaps leave too few complete rows: directions of so small a variance, and columns with so large a part in them.
SMALL_VARIANCE, LARGE_PART = 0.2, 0.15
MOST_DECIMALS = 9
MOST_TERMS = 6
ROUNDINGS = 64


@dataclass(frozen=True)
class Relation:
    """Σ coefficient · column = constant, in every row.

    Attributes:
        columns: their places, the one on the left of an equation first.
        coefficients: one for each.
        constant: on the right.
        rounded: whether it holds only up to the rounding of the columns.
    """

    columns: list[int]
    coefficients: list[float]
    constant: float
    rounded: bool

    def among(self, places: Sequence[int]) -> Relation:
        """The same relation where its columns have these places."""
        return replace(self, columns=[places[column] for column in self.columns])

    def equation(self, names: Sequence[str]) -> str:
        """Write it out, such as "total = a + b".

        >>> Relation([2, 0, 1], [1.0, -1.0, -0.5], 3.0, False).equation(["a", "b", "my total"])
        '"my total" = a + 0.5 b + 3'
        """
        words = [names[column] if names[column].isidentifier() else f'"{names[column]}"' for column in self.columns]
        if all(coefficient == 1 for coefficient in self.coefficients):
            shown = words if len(words) <= MOST_TERMS else [*words[:2], "...", words[-1]]
            return f"{' + '.join(shown)} = {self.constant:.6g}"
        terms = ""
        digits = 4 if self.rounded else 6
        for word, coefficient in list(zip(words, self.coefficients, strict=True))[1 : 1 + MOST_TERMS]:
            size = "" if abs(abs(coefficient) - 1) < 1e-6 else f"{abs(coefficient):.{digits}g} "
            sign = "-" if coefficient > 0 else "+"
            terms += f" {sign} {size}{word}"
        if len(words) > 1 + MOST_TERMS:
            terms += f" + {len(words) - 1 - MOST_TERMS} more terms"
        if self.constant:
            terms += f" {'+' if self.constant > 0 else '-'} {abs(self.constant):.6g}"
        return f"{words[0]} = {terms[3:] if terms.startswith(' + ') else terms.strip()}"


def find_relation(matrix: np.ndarray) -> Relation | None:
    """Find a linear relation between columns that holds in every row where they have values.

    A relation is exact to 1e-7 of the columns' deviations, or holds up to rounding: some or all of its columns are
    recorded with a step, of decimals or of single precision, and no row departs from it by more than half of these
    steps together, which are fine if other columns have none. A relation between columns of two values, such as
    indicators of which one is 1, is none.

    Arguments:
        matrix: (n, columns) numbers, NaN for gaps; no column is constant.

    Example:
        >>> a, b = np.random.default_rng(0).normal(size=(2, 100))
        >>> find_relation(np.stack([a, b, a + b], axis=1)).equation(["a", "b", "total"])
        'total = a + b'
    """
    places = [column for column in range(matrix.shape[1]) if np.isfinite(matrix[:, column]).any()]
    complete = ~np.isnan(matrix).any(1)
    if complete.sum() >= max(FEWEST_ROWS, matrix.shape[1] + ROWS_TO_SPARE):
        return _of_complete_rows(matrix, places)
    for some in candidates_beside_gaps(matrix, places):
        rows = ~np.isnan(matrix[:, some]).any(1)
        if rows.sum() >= min(FEWEST_ROWS, len(matrix)) and rows.sum() > len(some):
            found = _of_complete_rows(matrix, some)
            if found is not None:
                return found
    return None


def candidates_beside_gaps(matrix: np.ndarray, places: list[int]) -> list[list[int]]:
    """Columns that may be related, by correlations over the rows where both of a pair have values."""
    present = ~np.isnan(matrix[:, places])
    scaled = np.column_stack([_scaled(matrix[:, place])[0] for place in places])
    filled = np.where(present, scaled, 0)
    together = np.maximum(present.T.astype(float) @ present, 1)
    norms = np.sqrt(np.maximum((filled**2).T @ present * ((filled**2).T @ present).T, np.finfo(float).tiny))
    correlation = filled.T @ filled / norms
    pairs = [[places[i], places[j]] for i, j in np.argwhere(np.triu(np.abs(correlation) > 1 - 1e-3, 1))]
    if together.min() < FEWEST_ROWS or len(matrix) < len(places) + ROWS_TO_SPARE:
        return pairs
    variances, directions = np.linalg.eigh(correlation)
    parts = np.abs(directions[:, variances < SMALL_VARIANCE]).T
    return pairs + [[places[i] for i in np.flatnonzero(part > LARGE_PART * part.max())] for part in parts]


def _of_complete_rows(matrix: np.ndarray, places: list[int]) -> Relation | None:
    """The first relation of the columns at these places that complete rows suggest and that holds wherever it can."""
    if len(places) < 2:
        return None
    present = ~np.isnan(matrix)
    for chosen in candidate_columns(matrix[np.ix_(present[:, places].all(1), places)]):
        columns = [places[column] for column in chosen]
        rows = present[:, columns].all(1)
        found = relation_in_every_row(matrix if rows.all() else matrix[rows], columns)
        if found is not None:
            return found
    return None


def candidate_columns(matrix: np.ndarray) -> Iterator[list[int]]:
    """Columns of which the first may follow from the others, by the pivoted QR decomposition of evenly spaced rows.

    Arguments:
        matrix: (n, columns) without gaps.
    """
    table, _ = scaled_columns(matrix)
    some = table[:: -(-len(table) // max(ROWS, ROWS_OF_COLUMN * table.shape[1]))]
    triangle, order = qr(some, mode="r", pivoting=True)
    spread = np.abs(np.diag(triangle)) / np.sqrt(len(some))
    for last in range(1, len(spread)):
        if spread[last] > ROUGHEST:
            continue
        if not spread[last - 1]:
            break
        weights = solve_triangular(triangle[:last, :last], triangle[:last, last])
        sizes = np.concatenate([[1.0], np.abs(weights)])
        kept = np.flatnonzero(sizes > max(EXACT, spread[last] / 2))
        yield [int(order[last]), *(int(order[place - 1]) for place in kept[1:])]


def scaled_columns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns with mean 0 and deviation 1, and their deviations."""
    scaled, scales = zip(*(_scaled(matrix[:, column]) for column in range(matrix.shape[1])), strict=True)
    return np.column_stack(scaled), np.array(scales)


def _scaled(column: np.ndarray) -> tuple[np.ndarray, float]:
    """A column with mean 0 and deviation 1, and its deviation, infinite if float64 cannot hold it."""
    # Dividing first keeps the squares of huge numbers finite and those of tiny ones above zero.
    magnitude = float(np.nanmax(np.abs(column))) or 1.0
    relative = column / magnitude
    relative = relative - np.nanmean(relative)
    spread = float(np.sqrt(np.nanmean(relative**2))) or 1.0
    return relative / spread, spread * magnitude


def relation_in_every_row(matrix: np.ndarray, columns: list[int]) -> Relation | None:
    """The relation that gives the first of some columns by the others, if it holds in every row.

    Arguments:
        matrix: (n, columns) without gaps.
        columns: their places.
    """
    places = sorted(columns)
    some = matrix[:, places]
    found = _relation_of_scaled(some, *scaled_columns(some), [places.index(column) for column in columns])
    return None if found is None else found.among(places)


def _relation_of_scaled(
    matrix: np.ndarray, table: np.ndarray, scales: np.ndarray, columns: list[int]
) -> Relation | None:
    """The same of columns that are scaled."""
    while len(columns) > 1:
        weights = np.linalg.lstsq(table[:, columns[1:]], table[:, columns[0]], rcond=None)[0]
        signed = np.concatenate([[1.0], -weights])
        left = np.abs(signed) > EXACT
        if left.all():
            break
        columns = [column for column, keep in zip(columns, left, strict=True) if keep]
    if len(columns) < 2 or all(len(np.unique(matrix[:, column])) <= 2 for column in columns):
        return None
    residual = np.abs((table[:, columns] * signed).sum(1))
    # From the medians, which outliers do not move; halved, because a difference of huge numbers would overflow.
    sizes = np.abs(matrix[:, columns] / 2 - np.median(matrix[:, columns], 0) / 2) / scales[columns] * 2
    offsets = np.abs(matrix[:, columns]).max(0) / scales[columns]
    rounding = ROUNDINGS * np.finfo(float).eps * float(np.abs(signed) @ offsets)
    allowed = EXACT_IN_A_ROW * sizes @ np.abs(signed) + rounding
    if np.sqrt(np.mean(residual**2)) <= EXACT * np.linalg.norm(signed) + rounding and (residual <= allowed).all():
        return _relation(columns, signed / scales[columns], matrix, scales, rounded=False)
    return _rounded(matrix, scales, columns, signed)


def _rounded(matrix: np.ndarray, scales: np.ndarray, columns: list[int], signed: np.ndarray) -> Relation | None:
    """The relation, if the rounding of some or all of its columns explains what it leaves."""
    found = [steps_of(matrix[:, column]) for column in columns]
    if all(step is None for step in found):
        return None
    steps = [0.0 if step is None else step for step in found]
    roughest = ROUGHEST if all(step is not None for step in found) else ROUGHEST_OF_SOME
    coefficients = signed / scales[columns] * scales[columns[0]]
    residual = np.sqrt(np.mean((matrix[:, columns] @ coefficients - np.mean(matrix[:, columns] @ coefficients)) ** 2))
    whole = np.rint(coefficients)
    near = np.abs(coefficients - whole) <= NEAR_WHOLE
    whole = np.where(near, whole, coefficients)
    whole[np.abs(coefficients) * scales[columns] < RESIDUALS * residual] = 0.0
    for tried in (whole, coefficients):
        used = np.flatnonzero(tried)
        if len(used) < 2:
            continue
        values = matrix[:, columns] @ tried
        constant = float(np.median(values))
        # Half a step of each term, and as much again for the constant, which is one of the rounded values.
        allowed = sum(abs(weight) * np.asarray(step) for weight, step in zip(tried, steps, strict=True))
        small = np.sqrt(np.mean((values - constant) ** 2)) <= roughest * float(np.max(np.abs(tried) * scales[columns]))
        if small and (np.abs(values - constant) <= (1 + 1e-6) * allowed).all():
            return _relation([columns[place] for place in used], tried[used], matrix, scales, rounded=True)
    return None


def _relation(
    columns: list[int], coefficients: np.ndarray, matrix: np.ndarray, scales: np.ndarray, *, rounded: bool
) -> Relation:
    """A relation in the form in which people write it: one column on the left, or a sum that is constant."""
    order = np.argsort(columns)
    chosen, coefficients = np.array(columns)[order], coefficients[order]
    sizes = np.abs(coefficients) * scales[chosen]
    alike = np.ptp(np.abs(coefficients)) < (NEAR_WHOLE if rounded else EXACT) * np.abs(coefficients).max()
    positive, negative = np.flatnonzero(coefficients > 0), np.flatnonzero(coefficients < 0)
    # Of columns that contribute alike, one that leaves coefficients above 1.
    left = int(np.argmin(np.where(sizes > (1 - 1e-9) * sizes.max(), np.abs(coefficients), np.inf)))
    if alike:
        coefficients = np.sign(coefficients)
        left = next((int(side[0]) for side in (negative, positive) if len(side) == 1), left)
    coefficients = coefficients / coefficients[left]
    front = np.array([left, *(place for place in range(len(chosen)) if place != left)])
    if not (coefficients == 1).all():
        chosen, coefficients = chosen[front], coefficients[front]
    constant = float(np.median(matrix[:, chosen] @ coefficients))
    if rounded:
        constant = float(f"{constant:.4g}")
    negligible = abs(constant) <= (1e-3 if rounded else 1e-6) * float(np.max(np.abs(coefficients) * scales[chosen]))
    return Relation(chosen.tolist(), coefficients.tolist(), 0.0 if negligible else constant, rounded)


def steps_of(column: np.ndarray) -> np.ndarray | float | None:
    """The step that the values of a column are multiples of, or that of single precision at each; None for neither."""
    for decimals in range(MOST_DECIMALS + 1):
        scaled = column * 10.0**decimals
        if (np.abs(scaled - np.rint(scaled)) <= 8 * np.finfo(float).eps * np.abs(scaled)).all():
            return 10.0**-decimals
    with np.errstate(over="ignore"):
        single = column.astype(np.float32)
    return np.abs(column) * 2.0**-23 if (single == column).all() else None


def independent(matrix: np.ndarray) -> list[int]:
    """The columns that are left when one column of each relation is left out.

    >>> a = np.random.default_rng(0).normal(size=100)
    >>> len(independent(np.stack([a, 2 * a, a**2], axis=1)))
    2
    """
    left = list(range(matrix.shape[1]))
    for _ in itertools.repeat(None, len(left)):
        found = find_relation(matrix[:, left])
        if found is None:
            break
        del left[found.columns[0]]
    return left

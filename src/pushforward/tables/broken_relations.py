"""Linear relations that hold in nearly every row of a table, and are broken in a few, as by a mistake."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from pushforward.support.wording import percent
from pushforward.tables.checks import MOST_NAMES, leave_out
from pushforward.tables.dependence import (
    EXACT_IN_A_ROW,
    FEWEST_ROWS,
    ROUNDINGS,
    ROWS_TO_SPARE,
    Relation,
    candidate_columns,
    candidates_beside_gaps,
    relation_in_every_row,
    scaled_columns,
    steps_of,
)

# The largest share of rows that break a relation, which holds in the others. Of rows that are alike in its columns so
# many count: zeros in both of two columns are no relation.
MOST_BROKEN, MOST_ALIKE = 0.1, 10
# The rows that break it do so by so many times what rounding explains, at least half of them.
TIMES_ALLOWED = 5
# A relation is looked for in a few rows at a time, of which some choice has none that breaks it: in so many more rows
# than columns, in so many choices, as far as these take no more multiplications than this.
MORE_ROWS, MOST_CHOICES, MOST_PRODUCTS = 4, 20, 3e8
# A plane through most rows is found in so many steps, each through those that are nearest to the one before.
STEPS = 5
MOST_LINES, MOST_ROWS_NAMED = 3, 5


def find_broken_relation(matrix: np.ndarray) -> tuple[Relation, np.ndarray] | None:
    """Find a linear relation between columns that a few rows break, and that holds in all others.

    It holds there as `find_relation` has it: exactly, or up to the rounding of all its columns.

    Arguments:
        matrix: (n, columns) numbers, NaN for gaps; no column is constant.

    Returns:
        The relation, and the places of the rows that break it, among those that have values in all of its columns.

    Example:
        >>> a, b = np.random.default_rng(0).normal(size=(2, 200))
        >>> total = a + b
        >>> total[7] += 5
        >>> relation, rows = find_broken_relation(np.stack([a, b, total], axis=1))
        >>> relation.equation(["a", "b", "total"]), rows
        ('total = a + b', array([7]))
    """
    places = [column for column in range(matrix.shape[1]) if np.isfinite(matrix[:, column]).any()]
    complete = ~np.isnan(matrix).any(1)
    if complete.sum() >= max(FEWEST_ROWS, matrix.shape[1] + ROWS_TO_SPARE):
        return _of_some(matrix, places)
    for some in candidates_beside_gaps(matrix, places):
        found = _of_some(matrix, some)
        if found is not None:
            return found
    return None


def _of_some(matrix: np.ndarray, places: list[int]) -> tuple[Relation, np.ndarray] | None:
    """The same of the columns at these places."""
    present = ~np.isnan(matrix)
    complete = np.flatnonzero(present[:, places].all(1))
    if len(places) < 2 or len(complete) < max(FEWEST_ROWS, len(places) + ROWS_TO_SPARE):
        return None
    tried = set[frozenset[int]]()
    for few in _choices(len(complete), len(places)):
        for chosen in candidate_columns(matrix[complete[few]][:, places]):
            columns = sorted(places[column] for column in chosen)
            if len(columns) < 2 or frozenset(columns) in tried:
                continue
            tried.add(frozenset(columns))
            rows = np.flatnonzero(present[:, columns].all(1))
            found = _nearly_everywhere(matrix[rows][:, columns], np.searchsorted(rows, complete[few]))
            if found is not None:
                return found[0].among(columns), rows[found[1]]
    return None


def _choices(rows: int, columns: int) -> Iterator[np.ndarray]:
    """A few rows at a time."""
    size = min(columns + MORE_ROWS + 1, rows)
    random = np.random.default_rng(0)
    for _ in range(min(MOST_CHOICES, int(MOST_PRODUCTS / (size * columns**2)))):
        yield random.choice(rows, size, replace=False)


def _nearly_everywhere(matrix: np.ndarray, few: np.ndarray) -> tuple[Relation, np.ndarray] | None:
    """A relation of columns that was found in a few rows, if most others agree with it, and those that do not."""
    most = int(np.ceil((1 - MOST_BROKEN) * len(matrix)))
    table, _ = scaled_columns(matrix)
    design = np.column_stack([table[:, 1:], np.ones(len(table))])
    near = few
    for _ in range(STEPS):
        weights = np.linalg.lstsq(design[near], table[near, 0], rcond=None)[0]
        near = np.argpartition(np.abs(table[:, 0] - design @ weights), most - 1)[:most]
    varying = np.flatnonzero(np.ptp(matrix[near], axis=0) > 0).tolist()
    relation = relation_in_every_row(matrix[near], varying) if len(varying) > 1 else None
    if relation is None:
        return None
    off, allowed = _distances(matrix, near, relation)
    broken = np.flatnonzero(off > allowed)
    if not 0 < len(broken) <= MOST_BROKEN * len(matrix) or np.median(off[broken] / allowed[broken]) <= TIMES_ALLOWED:
        return None
    own = matrix[:, relation.columns]
    counts = (np.unique(part, axis=0, return_counts=True)[1] for part in (own[off <= allowed], own[broken]))
    agree, disagree = (np.minimum(rows, MOST_ALIKE).sum() for rows in counts)
    return (relation, broken) if agree >= (1 - MOST_BROKEN) * (agree + disagree) else None


def _distances(matrix: np.ndarray, near: np.ndarray, relation: Relation) -> tuple[np.ndarray, np.ndarray]:
    """How far each row is from a relation that holds near some, and how far it may be, both (n,)."""
    coefficients = np.array(relation.coefficients)
    some = matrix[:, relation.columns]
    deviations = some - np.median(some[near], 0)
    values = deviations @ coefficients
    off = np.abs(values - np.median(values[near]))
    if not relation.rounded:
        rounding = ROUNDINGS * np.finfo(float).eps * float(np.abs(coefficients) @ np.abs(some[near]).max(0))
        return off, EXACT_IN_A_ROW * np.abs(deviations) @ np.abs(coefficients) + rounding
    steps = [steps_of(column) for column in some[near].T]
    # That of single precision is relative to each number.
    sizes = [
        step if isinstance(step, float) else np.abs(column) * 2.0**-23
        for column, step in zip(some.T, steps, strict=True)
    ]
    allowed = sum(abs(weight) * size for weight, size in zip(coefficients, sizes, strict=True))
    return off, np.broadcast_to((1 + 1e-6) * allowed, off.shape)


def lines_of_broken_relations(
    matrix: np.ndarray,
    names: Sequence[str],
    *,
    source: str,
    conditions: Collection[str] = (),
    exact: Collection[str] = (),
    numbers: np.ndarray | None = None,
) -> list[str]:
    """A line for each relation that a few rows break: the density in the others grows as long as it is trained.

    Arguments:
        matrix: (n, columns) numbers, NaN for gaps; no column is constant, and no relation holds in every row.
        names: of the columns.
        source: what messages call the table.
        conditions: columns whose relations with each other do no harm.
        exact: columns whose relations up to rounding do not count.
        numbers: (n,) of the rows in their table; default not known.
    """
    left, lines = list(range(len(names))), list[str]()
    while len(left) > 1 and len(lines) < MOST_LINES:
        found = find_broken_relation(matrix[:, left])
        if found is None:
            break
        relation, broken = found[0].among(left), found[1]
        of_exact = [place for place in relation.columns if names[place] in exact]
        if relation.rounded and of_exact:
            left.remove(of_exact[0])
            continue
        if not {names[place] for place in relation.columns} <= set(conditions):
            rows = np.count_nonzero(~np.isnan(matrix[:, relation.columns]).any(1))
            where = _but_in(len(broken) / rows, [] if numbers is None else numbers[broken].tolist())
            lines.append(f"{_said(relation, names, where)}, or {leave_out(source, 'one of them')}")
        left.remove(relation.columns[0])
    return lines


def _said(relation: Relation, names: Sequence[str], where: str) -> str:
    """What holds where, and what that means for a fit."""
    quoted = [f'"{names[place]}"' for place in sorted(relation.columns)]
    listed = ", ".join(quoted[:MOST_NAMES]) + (f" and {len(quoted) - MOST_NAMES} more" * (len(quoted) > MOST_NAMES))
    return (
        f"columns {listed} determine each other{' up to rounding' * relation.rounded}, {relation.equation(names)}, "
        f"{where}: their density there has no bound, and the held-out value grows as long as it is trained; correct "
        "the other rows if they are mistakes"
    )


def _but_in(share: float, rows: Sequence[int]) -> str:
    """In which rows a relation holds."""
    listed = ", ".join(f"{row:,}" for row in rows[:MOST_ROWS_NAMED])
    more = f" and {len(rows) - MOST_ROWS_NAMED:,} more" if len(rows) > MOST_ROWS_NAMED else ""
    but = f" (not in row{'s' * (len(rows) > 1)} {listed}{more})" if rows else ""
    return f"in {percent(1 - share)} of the rows{but}"
